"""Turns a URL and its options into checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tiercel.spi import BackendLocation, ConfigurationError

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
DEFAULT_MAX_ENTRIES = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the file is and how large it may grow.

    Attributes:
        path: The file, absolute, so that a later change of directory does not matter.
        timeout: Seconds that a command waits for another process's write.
        max_bytes: Bytes of all entries together, some bookkeeping included.
        max_entries: Number of entries, and of stamps.
    """

    path: Path
    timeout: float
    max_bytes: int = DEFAULT_MAX_BYTES
    max_entries: int = DEFAULT_MAX_ENTRIES


def settings_of(location: BackendLocation) -> Settings:
    """Check a location.

    Raises:
        ConfigurationError: The URL names no file, its directory is missing, or an option is not
            a positive whole number.
    """
    path = _path(location.url)
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"{location.url}: directory {str(path.parent)!r} does not exist; "
            f"create it: mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise ConfigurationError(f"{location.url}: {str(path)!r} is a directory; name a file in it")
    return Settings(
        path,
        location.timeout,
        _positive(location.options, "max_bytes", DEFAULT_MAX_BYTES),
        _positive(location.options, "max_entries", DEFAULT_MAX_ENTRIES),
    )


def _path(url: str) -> Path:
    parts = urlsplit(url)
    name = unquote(parts.path)[1:]
    if parts.netloc or not name:
        raise ConfigurationError(
            f"{url}: write sqlite:///relative.db with three slashes "
            "or sqlite:////absolute.db with four"
        )
    if name == ":memory:":
        raise ConfigurationError(f"{url}: processes cannot share it; write memory:// instead")
    return Path(name).absolute()


def _positive(options: Mapping[str, Any], name: str, default: int) -> int:
    given = options.get(name, default)
    try:
        number = int(given)
    except (TypeError, ValueError):
        number = 0
    if number <= 0:
        raise ConfigurationError(f"{name}={given!r}: expected a positive whole number")
    return number
