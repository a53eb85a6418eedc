"""Which objects can be a shared tier, and how their methods are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tiercel.contracts.backend import Backend, Capability, Read
from tiercel.contracts.key_value import KeyValueStore
from tiercel.engine.keyvalue import adapt
from tiercel.errors import BackendRefused, BackendUnavailable, ConfigurationError
from tiercel.testing import DictBackend, SimulatedBackend, VirtualClock
from tiercel.testing.conformance.tier import Mode, Tier


class Recorder:
    """Stores in a dict and notes the lives it was given."""

    def __init__(self) -> None:
        self.cells: dict[str, bytes] = {}
        self.lives: list[Any] = []

    def get(self, key: str) -> bytes | None:
        return self.cells.get(key)

    def _keep(self, key: str, value: bytes, life: Any) -> None:
        self.cells[key] = value
        self.lives.append(life)


class WithTimeout(Recorder):
    def set(self, key: str, value: bytes, *, version: int = 1, timeout: Any = None) -> None:
        self._keep(key, value, timeout)


class WithEx(Recorder):
    def set(self, name: str, value: bytes, ex: Any = None, px: Any = None) -> bool:
        self._keep(name, value, ex)
        return True


class WithThirdPosition(Recorder):
    def set(self, key: str, value: bytes, seconds: Any, /) -> None:
        self._keep(key, value, seconds)


class WithoutTtl(Recorder):
    def set(self, key: str, value: bytes) -> None:
        self._keep(key, value, "none")


class Exact(KeyValueStore):
    def __init__(self) -> None:
        self.cells: dict[str, bytes] = {}
        self.lives: list[Any] = []

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.cells.get(key) for key in keys]

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self.cells[key] = value
        self.lives.append(ttl)

    def delete(self, key: str) -> None:
        self.cells.pop(key, None)


class Coroutines(Recorder):
    async def get(self, key: str) -> bytes | None:  # type: ignore[override]
        return self.cells.get(key)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self._keep(key, value, ttl)


class HalfAsync(Recorder):
    """Reads at once, writes by a coroutine."""

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self._keep(key, value, ttl)


class ReturnsAwaitables(Recorder):
    """Plain functions that return coroutines, as some clients have them."""

    asynchronous = True

    def get(self, key: str) -> Any:
        return self._get(key)

    async def _get(self, key: str) -> bytes | None:
        return self.cells.get(key)

    def set(self, key: str, value: bytes, ttl: float) -> Any:
        return self._set(key, value, ttl)

    async def _set(self, key: str, value: bytes, ttl: float) -> None:
        self._keep(key, value, ttl)


class Both(Recorder):
    """Plain methods, and coroutines with another name."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[Mode] = set()

    def get(self, key: str) -> bytes | None:
        self.used.add("sync")
        return super().get(key)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self.used.add("sync")
        self._keep(key, value, ttl)

    async def aget(self, key: str) -> bytes | None:
        self.used.add("async")
        return super().get(key)

    async def aset(self, key: str, value: bytes, ttl: float) -> None:
        self.used.add("async")
        self._keep(key, value, ttl)


def _serve_once(target: Any, mode: Mode = "sync") -> Any:
    """Store and read back through the adapter; return the target."""
    tier = Tier(adapt(target), mode)
    tier.store(tier.key(), b"value", life=90.5)
    assert tier.value(tier.key()) == b"value"
    tier.close()
    return target


def test_backend_is_returned_as_it_is() -> None:
    """What speaks the protocol needs no adapter."""
    backend = SimulatedBackend()
    assert adapt(backend) is backend


@pytest.mark.parametrize("make", [WithTimeout, WithEx, WithThirdPosition])
def test_life_is_passed_the_way_set_asks_for_it(make: type[Recorder]) -> None:
    """By a known name or in the third place, in whole seconds rounded up."""
    recorder = _serve_once(make())
    assert 91 in recorder.lives
    assert all(type(life) is int for life in recorder.lives)


def test_life_is_exact_for_a_key_value_store() -> None:
    """The contract of `KeyValueStore` takes fractions."""
    assert 90.5 in _serve_once(Exact()).lives


def test_object_that_cannot_forget_still_serves_nothing_expired() -> None:
    """The deadline is stored with the value."""
    clock = VirtualClock()
    tier = Tier(adapt(WithoutTtl(), clock))
    tier.store(tier.key(), b"value", life=10.0)
    clock.advance(9.0)
    assert tier.value(tier.key()) == b"value"
    clock.advance(2.0)
    assert tier.value(tier.key()) is None


@pytest.mark.parametrize("make", [Coroutines, HalfAsync, ReturnsAwaitables])
def test_object_with_coroutines_is_an_asynchronous_backend(make: type[Recorder]) -> None:
    """It is detected when it is adapted, method by method."""
    backend = adapt(make())
    assert (backend.asynchronous, backend.synchronous) == (True, False)
    _serve_once(make(), "async")
    with pytest.raises(NotImplementedError, match="no synchronous side"):
        backend.execute(Read(Tier(backend).key()))


def test_object_with_plain_functions_is_a_synchronous_backend() -> None:
    """Async callers get it in a worker thread."""
    backend = adapt(WithTimeout())
    assert (backend.asynchronous, backend.synchronous) == (False, True)
    _serve_once(WithTimeout(), "async")


def test_object_with_both_kinds_is_used_the_way_its_caller_is() -> None:
    """Plain callers never wait for a loop, and async ones never for a thread."""
    both = Both()
    backend = adapt(both)
    assert (backend.asynchronous, backend.synchronous) == (True, True)
    for mode in ("sync", "async"):
        tier = Tier(backend, mode)
        tier.store(tier.key(), b"value")
        assert tier.value(tier.key()) == b"value"
        assert both.used == {mode}
        both.used.clear()
        tier.close()


def test_object_with_some_coroutines_beside_plain_functions_is_plain() -> None:
    """What it has only one kind of decides."""

    class Some(Both):
        aset = None  # type: ignore[assignment]

    backend = adapt(Some())
    assert (backend.asynchronous, backend.synchronous) == (False, True)


def test_store_says_in_which_thread_async_code_uses_it() -> None:
    """One trip to the thread for each command, however many calls that takes."""
    ran: list[str] = []

    class Picky(Exact):
        async def in_thread(self, function: Any, *args: Any) -> Any:
            ran.append(type(args[0]).__name__)
            return function(*args)

    tier = Tier(adapt(Picky()), "async")
    tier.store(tier.key(), b"value")
    assert tier.value(tier.key()) == b"value"
    assert ran == ["Begin", "Fill", "Read"]
    tier.close()


def test_object_that_hides_its_coroutines_is_told_what_to_declare() -> None:
    """A plain function that returns a coroutine cannot be detected beforehand."""

    class Hiding(ReturnsAwaitables):
        asynchronous = False

    with pytest.raises(BackendRefused, match="give the object an attribute `asynchronous = True`"):
        adapt(Hiding()).execute(Read(Tier(SimulatedBackend()).key()))


@pytest.mark.parametrize("target", [{}, object(), "redis://", [], 5])
def test_object_without_get_or_set_is_refused_at_once(target: object) -> None:
    """The error names the type and both methods."""
    with pytest.raises(ConfigurationError) as error:
        adapt(target)
    assert str(error.value) == (
        f"{type(target).__name__} cannot be a shared tier: it needs the methods get(key) and "
        "set(key, value, ttl)"
    )


@pytest.mark.parametrize("name", ["get_many", "mget"])
@pytest.mark.parametrize("as_dict", [True, False])
def test_bulk_method_is_used_under_either_name(name: str, as_dict: bool) -> None:
    """A read is one call, whether the object replies with a dict or in order."""
    store, calls = DictBackend(), []

    class Bulk(DictBackend):
        def get(self, key: str) -> bytes | None:
            raise AssertionError("asked one by one")

    def get_many(keys: Sequence[str]) -> Any:
        calls.append(list(keys))
        found = {key: store.get(key) for key in keys}
        known = {key: value for key, value in found.items() if value is not None}
        return known if as_dict else list(found.values())

    bulk = Bulk()
    bulk.cells = store.cells
    setattr(bulk, name, get_many)
    backend = adapt(bulk)
    assert backend.capabilities == {Capability.MULTI_GET}
    tier = Tier(backend)
    tier.store(tier.key(), b"value")
    calls.clear()
    assert tier.value(tier.key()) == b"value"
    assert len(calls) == 1


def test_object_without_bulk_reads_has_no_capability() -> None:
    """What the object lacks is not claimed."""
    assert adapt(DictBackend()).capabilities == frozenset()


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({"get": "text"}, "returned str where bytes were stored: switch off its decoding"),
        ({"get_many": [b"x"]}, r"was asked for \d keys and replied with 1 values"),
    ],
)
def test_reply_that_makes_no_sense_is_refused_by_name(reply: dict[str, Any], says: str) -> None:
    """The object is named, with what it did."""
    target = DictBackend()
    for name, value in reply.items():
        setattr(target, name, lambda _, value=value: value)
    with pytest.raises(BackendRefused, match=f"DictBackend {says}"):
        adapt(target).execute(Read(Tier(SimulatedBackend()).key()))


def test_set_that_reports_failure_is_refused() -> None:
    """Some clients say False instead of raising."""

    class Full(DictBackend):
        def set(self, key: str, value: bytes, ttl: float) -> Any:
            return False

    tier = Tier(adapt(Full()))
    with pytest.raises(BackendRefused, match=r"Full\.set\(\) returned False"):
        tier.take(tier.key())


def test_set_that_forgets_at_once_is_refused() -> None:
    """A stamp counts as captured only if a later reply shows it."""

    class Forgetful(DictBackend):
        def set(self, key: str, value: bytes, ttl: float) -> None:
            pass

    tier = Tier(adapt(Forgetful()))
    with pytest.raises(BackendRefused, match=r"Forgetful did not keep .* which it accepted"):
        tier.take(tier.key())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_error_of_the_object_becomes_unavailable(mode: Mode) -> None:
    """Nothing but Tiercel's own errors comes out, with the cause kept."""

    class Broken(DictBackend):
        def get(self, key: str) -> bytes | None:
            raise OSError("no route")

    class BrokenAsync(DictBackend):
        async def get(self, key: str) -> bytes | None:  # type: ignore[override]
            raise OSError("no route")

    tier = Tier(adapt(Broken() if mode == "sync" else BrokenAsync()), mode)
    with pytest.raises(BackendUnavailable, match=r"get\(\) failed: OSError\('no route'\)") as error:
        tier.run(Read(tier.key()))
    assert isinstance(error.value.__cause__, OSError)
    tier.close()


def test_adapter_is_a_backend() -> None:
    """The engine sees one interface."""
    assert isinstance(adapt(DictBackend()), Backend)
