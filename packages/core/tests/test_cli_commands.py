"""The commands of `tiercel` that concern functions and calls."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel import CACHE_MISSING, ArgsKeyField, Cache, InvalidationRule, KeyConstructor
from tiercel.cli import main
from tiercel.configuration import use_caches
from tiercel.testing import SimulatedBackend


class PriceKey(KeyConstructor):
    shop = ArgsKeyField("shop", partition=True)
    item = ArgsKeyField("item")


BY_SHOP = InvalidationRule("shops", field_mapping={"shop": "id"}, name="by shop")


class Shop:
    """An application with three functions, and the command line that looks at it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.backend = SimulatedBackend()
        self.cache = Cache(backend=self.backend, name="shop", memory=0)
        decorate = self.cache.cached(
            key=PriceKey, name="cli.tariff", index=True, tags=["prices"], invalidates_on=[BY_SHOP]
        )

        @decorate
        def price(shop: str, item: int = 1) -> float:
            return item * 1.5

        @self.cache.cached(name="cli.awaited")
        async def awaited(number: int) -> int:
            return number

        @self.cache.cached(name="cli.failing")
        def failing(number: int = 0) -> int:
            raise ZeroDivisionError("on purpose")

        self.price, self.awaited, self.failing = price, awaited, failing

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command; return what it wrote, on either stream."""
        assert main(arguments) == code
        said = self._capsys.readouterr()
        return said.out + said.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))


@pytest.fixture
def shop(capsys: pytest.CaptureFixture[str]) -> Iterator[Shop]:
    gc.collect()  # functions of the same names that former tests made
    made = Shop(capsys)
    former = use_caches({"default": Cache(name="default"), "shop": made.cache})
    yield made
    use_caches(former)
    made.cache.close()


def test_functions_then_how_each_is_cached(shop: Shop) -> None:
    """A table for people, a list for programs, by a part of the name."""
    assert [each["name"] for each in shop.json("functions", "cli.")] == [
        "cli.awaited", "cli.failing", "cli.tariff",
    ]  # fmt: skip
    (found,) = shop.json("functions", "cli.tariff")
    assert found == {
        "name": "cli.tariff", "cache": "shop", "tiers": "both", "asynchronous": False,
        "key": "cli.tariff:v1:{shop}:{item}", "partition": ["shop"], "ttl": 3600.0, "stale": 0.0,
        "rules": 1, "indexed": True, "error": "",
    }  # fmt: skip
    assert shop.run("functions", "cli.tariff").splitlines()[0].startswith("NAME")
    assert shop.run("functions", "no such function") == "nothing\n"


def test_rules_then_what_each_listens_to(shop: Shop) -> None:
    """Everything that a rule says can be read."""
    assert shop.json("rules", "cli.") == [
        {
            "function": "cli.tariff", "rule": "by shop", "model": "shops", "drops": "partition",
            "mapping": {"shop": "id"}, "watches": [], "when": {}, "rewarms": False,
            "dispatcher": None,
        }
    ]  # fmt: skip


def test_key_then_the_one_that_a_call_has(shop: Shop) -> None:
    """Arguments by place or by name make the same key."""
    key = shop.price.get_cache_key("a", item=2)
    assert shop.run("key", "cli.tariff", "a", "2") == f"{key}\n"
    assert shop.json("key", "tariff", "shop=a", "item=2") == {
        "function": "cli.tariff", "call": "cli.tariff('a', 2)", "key": key,
    }  # fmt: skip


def test_key_when_arguments_begin_with_dashes_then_they_are_arguments(shop: Shop) -> None:
    """A negative number is no option, and what would be one can be passed by name."""
    assert "item=-5" in shop.run("key", "tariff", "bath", "-5")
    assert "shop='--json" in shop.run("key", "tariff", "shop=--json")


def test_get_then_the_value_or_exit_code_one(shop: Shop) -> None:
    """Nothing is computed to answer."""
    assert "nothing is cached" in shop.run("get", "tariff", "a", "3", code=1)
    assert shop.json("get", "tariff", "a", "3", code=1) == {"found": False, "value": None}
    shop.price("a", 3)
    assert shop.run("get", "tariff", "a", "3") == "4.5\n"
    assert shop.json("get", "tariff", "a", "3") == {"found": True, "value": 4.5}


def test_refresh_then_computed_and_stored(shop: Shop) -> None:
    """Coroutine functions too; a failure is told, with exit code 1."""
    assert shop.json("refresh", "tariff", "a", "-4")["done"] == "computed"
    assert shop.price.get_cache_only("a", -4) == -6.0
    assert shop.json("refresh", "cli.awaited", "5")["error"] == ""
    failed = shop.json("refresh", "cli.failing", code=1)
    assert failed["error"] == "ZeroDivisionError: on purpose"


def test_drop_then_the_entry_or_the_partition(shop: Shop) -> None:
    """A whole call drops its entry, leading arguments the partition, none everything."""
    for item in (1, 2, 3):
        shop.price("a", item)
        shop.price("b", item)

    def live() -> list[tuple[str, int]]:
        return sorted(tuple(args) for args, _ in shop.price.live_calls())

    assert shop.json("drop", "tariff", "a", "2", "--yes")["done"] == "dropped"
    assert shop.json("drop", "tariff", "a", "2", "--yes")["done"] == "nothing was there"
    assert live() == [("a", 1), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]
    assert shop.json("drop", "tariff", "--yes")["done"] == "everything dropped"
    assert live() == []


def test_drop_when_not_confirmed_then_nothing_happens(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks before, and does it only for a yes."""
    shop.price("a")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "Drop cli.tariff('a')? [y/N]" in shop.run("drop", "tariff", "a", code=1)
    assert shop.price.get_cache_only("a") is not CACHE_MISSING
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    shop.run("drop", "tariff", "a")
    assert shop.price.get_cache_only("a") is CACHE_MISSING


def test_explain_and_why_then_people_can_read_them(shop: Shop) -> None:
    """What an inspection knows is shown; its content has tests of its own."""
    shop.price("a")
    text = shop.run("explain", "tariff", "a")
    assert "served: shared" in text
    assert "by shop" in text
    found = shop.json("explain", "tariff", "a")
    assert found["shared"]["state"] == "fresh"
    assert shop.run("why", found["key"]).startswith("it is fresh")
    assert shop.json("why", found["key"])["function"] == "cli.tariff"


@pytest.mark.parametrize(
    "chosen", [["cli.tariff"], ["--cache", "shop"], ["--tag", "prices", "--cache", "shop"]]
)
def test_purge_then_everything_is_gone(shop: Shop, chosen: list[str]) -> None:
    """Functions, caches or tags; every one that was named is reported."""
    shop.price("a")
    (done,) = shop.json("purge", *chosen, "-y")
    assert done["done"] == "everything dropped"
    assert shop.price.get_cache_only("a") is CACHE_MISSING


def test_warm_then_calls_are_stored(shop: Shop, tmp_path: Path) -> None:
    """From options, from a file, and those that are live now."""
    file = tmp_path / "calls"
    file.write_text('["b", 1]\n\n{"shop": "c", "item": 2}\n')
    done = shop.json("warm", "tariff", "--call", '["a"]', "--file", str(file))
    assert [each["what"] for each in done] == [
        "cli.tariff('a')", "cli.tariff('b', 1)", "cli.tariff('c', 2)",
    ]  # fmt: skip
    before = shop.price.stats().computations
    assert len(shop.json("warm", "tariff", "--live")) == 3
    assert shop.price.stats().computations == before + 3


def test_warm_when_one_fails_then_the_others_are_computed(shop: Shop) -> None:
    """The failure is told with its error, and the exit code is 1."""
    done = shop.json("warm", "cli.failing", "cli.awaited", "--call", "[5]", code=1)
    assert [each["error"] for each in done] == ["ZeroDivisionError: on purpose", ""]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["key", "tarif"], 2, "no cached function 'tarif'; did you mean cli.tariff"),
        (["key", "tariff"], 2, "missing a required argument: 'shop'"),
        (["get", "tariff", "bath", "--jsn"], 2, "No such option '--jsn'. Did you mean '--json'?"),
        (["drop", "tariff", "bath", "--yess"], 2, "No such option '--yess'"),
        (["drop", "tariff", "item=5", "-y"], 2, "says no partition"),
        (["purge"], 2, "say what to drop"),
        (["purge", "--cache", "none", "-y"], 2, "no cache is called 'none'"),
        (["why", "nobody"], 2, "--app"),
        (["warm", "tariff", "--call", "{"], 2, "is no JSON"),
        (["warm", "cli.awaited", "--live"], 2, "index=True"),
        (["top", "--cache", "none"], 2, "no cache is called 'none'"),
        (["--app", "no.such.module", "functions"], 2, "'no.such.module' cannot be imported"),
    ],
)
def test_mistakes_then_one_line_and_a_code(
    shop: Shop, arguments: list[str], code: int, said: str
) -> None:
    """What is wrong and what to do, without a traceback."""
    text = shop.run(*arguments, code=code)
    assert said in text
    assert text.count("\n") == 1


def test_server_when_gone_then_exit_code_three(shop: Shop) -> None:
    """That the shared tier does not answer is told from everything else."""
    shop.backend.unreachable = True
    assert "unreachable" in shop.run("tail", "--cache", "shop", "--for", "1", code=3)
    (found,) = [each for each in shop.json("doctor", code=1) if each["subject"] == "cache shop"]
    assert (found["state"], found["advice"][:16]) == ("wrong", "start the server")


def test_new_plugin_then_a_folder_that_is_new(shop: Shop, tmp_path: Path) -> None:
    """The templates are part of the distribution; a second time is refused."""
    made = shop.json("new-plugin", "dispatcher", "stone", "--into", str(tmp_path))["made"]
    assert (Path(made) / "src" / "tiercel_stone" / "plugin.py").is_file()
    assert (Path(made) / "LICENSE").is_file()
    assert "exists already" in shop.run(
        "new-plugin", "dispatcher", "stone", "--into", str(tmp_path), code=2
    )
    for kind in ("backend", "key_field", "observer"):
        made = shop.json("new-plugin", kind, kind[:3], "--into", str(tmp_path))["made"]
        entry = f'[project.entry-points."tiercel.{kind}s"]'
        assert entry in (Path(made) / "pyproject.toml").read_text()
    assert "leave the underscores out" in shop.run("new-plugin", "backend", "a_b", code=2)
