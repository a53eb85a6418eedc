"""The words for everything that can be wrong with a plugin: what it is and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tiercel.contracts.version import SPI_VERSION
from tiercel.errors import (
    PluginBroken,
    PluginError,
    PluginIncompatible,
    PluginNotInstalled,
    UnknownPlugin,
)
from tiercel.plugins.catalogue import KNOWN
from tiercel.plugins.kinds import Kind


def core_version() -> str:
    """Return the installed version of the core; empty if it runs from bare sources."""
    try:
        return version("tiercel")
    except PackageNotFoundError:
        return ""


def missing(kind: Kind[Any], name: str, available: Iterable[str]) -> PluginError:
    """Nobody provides `name`: say what to install, or what else there is."""
    known = KNOWN.get(kind.name, {})
    if name in known:
        return PluginNotInstalled(
            f"{kind.word} {name!r} is not installed: pip install {known[name]}"
        )
    names = sorted(available)
    close = get_close_matches(name, {*names, *known}, n=1)
    text = f"no {kind.word} named {name!r}; installed: {', '.join(names) or 'none'}"
    if close:
        how = "" if close[0] in names else f" (pip install {known[close[0]]})"
        text += f"; did you mean {close[0]!r}{how}?"
    return UnknownPlugin(text)


def disabled(kind: Kind[Any], name: str, owner: str) -> PluginError:
    """It is installed, but the environment says not to use it."""
    return PluginError(
        f"{kind.word} {name!r} ({owner}) is disabled: remove it from TIERCEL_DISABLE_PLUGINS"
    )


def duplicate(kind: Kind[Any], name: str, owners: Sequence[str]) -> PluginBroken:
    """Several provide one name, and guessing would be worse than refusing."""
    return PluginBroken(
        f"{kind.word} {name!r} is provided by {' and by '.join(owners)}: keep one of them"
    )


def unimportable(subject: str, error: Exception) -> PluginBroken:
    """Importing the plugin's module failed."""
    return PluginBroken(f"{subject} could not be imported: {reason(error)}")


def invalid(subject: str, why: str) -> PluginBroken:
    """The plugin was imported, but does not keep to the hooks."""
    return PluginBroken(f"{subject} is not a valid plugin: {why}")


def incompatible(distribution: str, release: str, spi: tuple[int, int]) -> PluginIncompatible:
    """The plugin speaks another version of the plugin interface: say which side to move."""
    if not release:
        remedy = "use what was written for the same major and no later minor version"
    elif spi > SPI_VERSION:
        remedy = f"pip install '{distribution}<{release}' or upgrade tiercel"
    else:
        remedy = f"pip install --upgrade {distribution}"
    core = f"tiercel {core_version()}".rstrip()
    return PluginIncompatible(
        f"{distribution} {release}".rstrip()
        + f" needs SPI {spi[0]}.{spi[1]}, {core} speaks {SPI_VERSION[0]}.{SPI_VERSION[1]}: "
        + remedy
    )


def reason(error: BaseException) -> str:
    """Return one line about an exception; the type is left out where the text says it."""
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
