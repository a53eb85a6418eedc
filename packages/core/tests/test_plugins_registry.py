"""Plugins of simulated distributions: found, loaded by name, refused with a clear error."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoints, distributions
from pathlib import Path

import pytest

from tiercel.errors import (
    ConfigurationError,
    PluginBroken,
    PluginError,
    PluginIncompatible,
    PluginNotInstalled,
    UnknownPlugin,
)
from tiercel.plugins import Registry, discovery, hookimpl
from tiercel.plugins.failures import core_version
from tiercel.spi import SPI_VERSION, Backend, BackendSpec

Install = Callable[..., None]

BACKEND = """
from tiercel.spi import BackendSpec, hookimpl

@hookimpl
def tiercel_backends():
    return [BackendSpec({name!r}, print, frozenset(), {spi!r})]
"""


def backend(name: str, spi: tuple[int, int] = SPI_VERSION) -> str:
    return BACKEND.format(name=name, spi=spi)


def write_distribution(
    where: Path, name: str, version: str, groups: dict[str, dict[str, str]]
) -> None:
    info = where / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    text = ""
    for group, plugins in groups.items():
        text += f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in plugins.items())
    (info / "entry_points.txt").write_text(text)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install distributions into an environment that holds nothing else."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        discovery,
        "entry_points",
        lambda: EntryPoints(
            point for each in distributions(path=[str(tmp_path)]) for point in each.entry_points
        ),
    )
    written = []

    def install(
        name: str, groups: dict[str, dict[str, str]], version: str = "1.2.0", **modules: str
    ) -> None:
        write_distribution(tmp_path, name, version, groups)
        for module, source in modules.items():
            (tmp_path / f"{module}.py").write_text(source)
            written.append(module)
        importlib.invalidate_caches()

    yield install
    for module in written:
        sys.modules.pop(module, None)


def test_backend_when_asked_for_imports_only_its_own_module(install: Install) -> None:
    """Asking for one plugin leaves the others of the same kind alone."""
    install("a", {"tiercel.backends": {"one": "one_p"}}, one_p=backend("one"))
    install("b", {"tiercel.backends": {"two": "two_p"}}, two_p=backend("two"))
    assert Registry().backend("one").name == "one"
    assert "one_p" in sys.modules
    assert "two_p" not in sys.modules


def test_registry_when_made_imports_no_plugin(install: Install) -> None:
    """Finding plugins reads metadata only, so a broken one harms nobody."""
    install("a", {"tiercel.backends": {"bad": "bad_p"}}, bad_p="import not_there")
    install("b", {"tiercel.backends": {"good": "good_p"}}, good_p=backend("good"))
    registry = Registry()
    assert "bad_p" not in sys.modules
    assert registry.backend("good").spi == SPI_VERSION


def test_backend_when_one_module_serves_several_names_is_found_by_each(install: Install) -> None:
    """Several entry points may lead to one module, whose hook is called once."""
    source = """
from tiercel.spi import BackendSpec, hookimpl

calls = []

@hookimpl
def tiercel_backends():
    calls.append(1)
    return (BackendSpec(name, print, frozenset(), (1, 0)) for name in ("kv", "kvs", "kv+unix"))
"""
    points = dict.fromkeys(("kv", "kvs", "kv+unix"), "kv_p")
    install("a", {"tiercel.backends": points}, kv_p=source)
    registry = Registry()
    assert [registry.backend(name).name for name in points] == list(points)
    assert importlib.import_module("kv_p").calls == [1]


def test_backend_when_known_but_missing_says_what_to_install(install: Install) -> None:
    """The catalogue knows first-party distributions without having them."""
    with pytest.raises(PluginNotInstalled) as caught:
        Registry().backend("redis")
    assert str(caught.value) == "backend 'redis' is not installed: pip install tiercel-redis"
    assert isinstance(caught.value, ImportError)


def test_backend_when_unknown_lists_what_there_is_and_guesses(install: Install) -> None:
    """A misspelt name is answered with the installed names and the closest of them."""
    install("a", {"tiercel.backends": {"mongo": "mongo_p"}}, mongo_p=backend("mongo"))
    with pytest.raises(UnknownPlugin) as caught:
        Registry().backend("mogno")
    text = "no backend named 'mogno'; installed: memory, mongo; did you mean 'mongo'?"
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "rediss+x",
            (
                "no backend named 'rediss+x'; installed: memory; "
                "did you mean 'rediss' (pip install tiercel-redis)?"
            ),
        ),
        ("zzz", "no backend named 'zzz'; installed: memory"),
    ],
)
def test_backend_when_unknown_and_nothing_is_installed_still_helps(
    install: Install, name: str, text: str
) -> None:
    """A guess may be a plugin that is not installed; without a guess the list stands alone."""
    with pytest.raises(UnknownPlugin) as caught:
        Registry().backend(name)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import not_there", "No module named 'not_there'"),
        ("raise RuntimeError('no\\nlicence')", "RuntimeError: no licence"),
        ("raise KeyError", "KeyError"),
    ],
)
def test_backend_when_its_import_fails_names_the_distribution(
    install: Install, source: str, why: str
) -> None:
    """Whatever an import raises, the error names the distribution and the cause."""
    install("a-dist", {"tiercel.backends": {"bad": "bad_p"}}, bad_p=source)
    with pytest.raises(PluginBroken) as caught:
        Registry().backend("bad")
    assert str(caught.value) == f"backend 'bad' (a-dist 1.2.0) could not be imported: {why}"
    assert caught.value.__cause__ is not None


INVALID = {
    "typo": (
        "@hookimpl\ndef tiercel_backend(): return []",
        "unknown hook 'tiercel_backend' (SPI 1.0)",
    ),
    "argument": (
        "@hookimpl\ndef tiercel_backends(config): return []",
        "can not be found in the hookspec (SPI 1.0)",
    ),
    "unmarked": (
        "def tiercel_backends(): return []",
        "no function is marked with tiercel.spi.hookimpl",
    ),
    "raises": (
        "@hookimpl\ndef tiercel_backends(): yield 1 / 0",
        "tiercel_backends failed: ZeroDivisionError: division by zero",
    ),
    "single": (
        "@hookimpl\ndef tiercel_backends(): return SPEC",
        "tiercel_backends failed: TypeError: 'BackendSpec' object is not iterable",
    ),
    "instance": (
        "@hookimpl\ndef tiercel_backends(): return ['bad']",
        "tiercel_backends returned 'bad', which is no BackendSpec",
    ),
    "unnamed": (
        "@hookimpl\ndef tiercel_backends(): return [BackendSpec(None, 0, set(), (1, 0))]",
        "whose name is no text",
    ),
    "version": (
        "@hookimpl\ndef tiercel_backends(): return [BackendSpec('bad', 0, set(), '1.0')]",
        "whose spi is no pair of integers",
    ),
    "repeated": (
        "@hookimpl\ndef tiercel_backends(): return [SPEC, SPEC]",
        "tiercel_backends returned 'other' more than once",
    ),
    "name": (
        "@hookimpl\ndef tiercel_backends(): return [SPEC]",
        "its entry point must be named like what it provides, which is 'other'",
    ),
    "nothing": (
        "@hookimpl\ndef tiercel_configured(): pass",
        "its entry point must be named like what it provides, which is nothing",
    ),
}


@pytest.mark.parametrize(("source", "why"), INVALID.values(), ids=INVALID)
def test_backend_when_its_plugin_breaks_the_rules_says_which(
    install: Install, source: str, why: str
) -> None:
    """A plugin that breaks the rules is refused with the reason, and spoils no other."""
    head = "from tiercel.spi import BackendSpec, hookimpl\n"
    head += "SPEC = BackendSpec('other', print, frozenset(), (1, 0))\n"
    install("a-dist", {"tiercel.backends": {"bad": "bad_p"}}, bad_p=head + source)
    install("b-dist", {"tiercel.backends": {"good": "good_p"}}, good_p=backend("good"))
    registry = Registry()
    for _ in range(2):
        with pytest.raises(PluginBroken) as caught:
            registry.backend("bad")
        text = str(caught.value)
        assert text.startswith("backend 'bad' (a-dist 1.2.0) is not a valid plugin: ")
        assert text.endswith(why)
        assert "\n" not in text
    assert registry.backend("good").name == "good"


@pytest.mark.parametrize(
    ("spi", "needs", "remedy"),
    [
        ((2, 0), "2.0", "pip install 'a-dist<1.2.0' or upgrade tiercel"),
        ((1, 1), "1.1", "pip install 'a-dist<1.2.0' or upgrade tiercel"),
        ((0, 9), "0.9", "pip install --upgrade a-dist"),
    ],
)
def test_backend_when_of_another_spi_names_both_versions(
    install: Install, spi: tuple[int, int], needs: str, remedy: str
) -> None:
    """The error says which versions do not meet, and which side to move."""
    install("a-dist", {"tiercel.backends": {"odd": "odd_p"}}, odd_p=backend("odd", spi))
    with pytest.raises(PluginIncompatible) as caught:
        Registry().backend("odd")
    core = f"tiercel {core_version()}".rstrip()
    text = f"a-dist 1.2.0 needs SPI {needs}, {core} speaks 1.0: {remedy}"
    assert str(caught.value) == text


def test_backend_when_provided_twice_names_both(install: Install) -> None:
    """Guessing which of two distributions is meant would depend on the file system."""
    install("b-dist", {"tiercel.backends": {"kv": "kv_b"}}, kv_b=backend("kv"))
    install("a-dist", {"tiercel.backends": {"kv": "kv_a"}}, version="2.0", kv_a=backend("kv"))
    with pytest.raises(PluginBroken) as caught:
        Registry().backend("kv")
    text = "backend 'kv' is provided by a-dist 2.0 and by b-dist 1.2.0: keep one of them"
    assert str(caught.value) == text


def test_dispatcher_when_a_plugin_takes_a_built_in_name_names_both(install: Install) -> None:
    """No installed distribution replaces a part of core in silence."""
    install("a-dist", {"tiercel.dispatchers": {"inline": "inline_p"}}, inline_p="")
    registry = Registry()
    with pytest.raises(PluginBroken, match=r"by tiercel.* and by a-dist 1\.2\.0: keep one"):
        registry.dispatcher("inline")
    assert registry.dispatcher("threadpool").name == "threadpool"


@pytest.mark.parametrize("value", ["kv", "backends:kv", "*", " other , kv "])
def test_backend_when_disabled_by_the_environment_says_so(
    install: Install, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The variable takes names, names with their kind, and a star."""
    monkeypatch.setenv("TIERCEL_DISABLE_PLUGINS", value)
    install("a-dist", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    with pytest.raises(PluginError) as caught:
        Registry().backend("kv")
    text = "backend 'kv' (a-dist 1.2.0) is disabled: remove it from TIERCEL_DISABLE_PLUGINS"
    assert str(caught.value) == text
    assert "kv_p" not in sys.modules


@pytest.mark.parametrize("value", ["observers:kv", "kvv", ""])
def test_backend_when_something_else_is_disabled_loads(
    install: Install, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Only the very name, of the very kind, is disabled."""
    monkeypatch.setenv("TIERCEL_DISABLE_PLUGINS", value)
    install("a-dist", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    assert Registry().backend("kv").name == "kv"


def test_backend_when_one_of_two_providers_is_gone_by_kind_loads_the_other(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core's own dispatchers cannot be disabled, so a conflict with them can be resolved."""
    monkeypatch.setenv("TIERCEL_DISABLE_PLUGINS", "dispatchers:inline")
    install("a-dist", {"tiercel.dispatchers": {"inline": "inline_p"}}, inline_p="")
    assert Registry().dispatcher("inline").name == "inline"


def test_registry_when_a_disabled_kind_is_misspelt_refuses(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt kind would leave on what was meant to be off."""
    monkeypatch.setenv("TIERCEL_DISABLE_PLUGINS", "backend:kv")
    with pytest.raises(ConfigurationError, match="'backend:kv' names no kind of plugin"):
        Registry()


def test_registry_when_tracing_writes_what_it_loads(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Registrations and hook calls can be watched on standard error."""
    install("a-dist", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    Registry().backend("kv")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TIERCEL_TRACE_PLUGINS", "1")
    Registry().backend("kv")
    written = capsys.readouterr().err
    assert "registered backend 'kv' (a-dist 1.2.0)" in written
    assert "tiercel_backends of backend 'kv' (a-dist 1.2.0) returned kv" in written


class Spare:
    @hookimpl
    def tiercel_backends(self) -> list[BackendSpec]:
        return [BackendSpec("kv", lambda location: Backend(), frozenset(), SPI_VERSION)]


def test_register_when_given_the_module_of_an_entry_point_is_no_conflict(
    install: Install,
) -> None:
    """A module that tests register by hand may be installed as well."""
    install("a", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    registry = Registry()
    registry.register(importlib.import_module("kv_p"))
    assert registry.backend("kv").name == "kv"


def test_register_when_the_name_is_installed_elsewhere_names_both(install: Install) -> None:
    """A name registered by code and by a distribution is an error for those who ask for it."""
    install("a-dist", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    registry = Registry()
    registry.register(Spare())
    with pytest.raises(PluginBroken, match=r"Spare and by a-dist 1\.2\.0: keep one of them"):
        registry.backend("kv")


def test_configured_when_a_plugin_is_loaded_later_tells_it_once(install: Install) -> None:
    """A plugin that is loaded after the configuration hears of it then."""
    late = "from tiercel.spi import hookimpl\ntold = []\n" + backend("late")
    late += "\n@hookimpl\ndef tiercel_configured(caches):\n    told.append(sorted(caches))\n"
    install("a", {"tiercel.backends": {"late": "late_p"}}, late_p=late)
    registry = Registry()
    registry.configured({"default": "a cache"})
    registry.backend("late")
    registry.backend("late")
    assert importlib.import_module("late_p").told == [["default"]]


def test_observers_when_an_installed_one_is_broken_leave_it_out(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """What acts unasked is loaded when frozen; a broken one is logged with its distribution."""
    source = """
from tiercel.spi import Observer, ObserverSpec, hookimpl

class Watch(Observer):
    def on_event(self, event):
        pass

@hookimpl
def tiercel_observers():
    return [ObserverSpec("watch", Watch, (1, 0))]
"""
    install("a-dist", {"tiercel.observers": {"bad": "bad_p"}}, bad_p="import not_there")
    install("b-dist", {"tiercel.observers": {"watch": "watch_p"}}, watch_p=source)
    install("c-dist", {"tiercel.backends": {"kv": "kv_p"}}, kv_p=backend("kv"))
    registry = Registry()
    assert len(registry.observers.on_event) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "left out: observer 'bad' (a-dist 1.2.0) could not be imported: No module named 'not_there'"
    ]
    assert list(registry.failures) == [("observers", "bad")]
    assert "kv_p" not in sys.modules
