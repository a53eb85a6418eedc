"""The conformance kit for backends: subclass `BackendConformance` and give it one fixture."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tiercel.contracts.backend import Backend, Capability
from tiercel.testing.conformance.channel import ChannelTests, MailboxTests, NoChannelTests
from tiercel.testing.conformance.claims import ClaimTests
from tiercel.testing.conformance.drops import ClearTests, DropTests, TagTests
from tiercel.testing.conformance.entries import EntryTests
from tiercel.testing.conformance.hosting import HostTests
from tiercel.testing.conformance.index import FenceTests, IndexTests, NoIndexTests, ProbeTests
from tiercel.testing.conformance.leases import LeaseTests
from tiercel.testing.conformance.machine import check_histories
from tiercel.testing.conformance.overwriting import OverwriteTests
from tiercel.testing.conformance.races import RaceTests
from tiercel.testing.conformance.reversals import ReversalTests
from tiercel.testing.conformance.tier import Tier, offered


def not_offered(kit: type, name: str, backend: Backend) -> frozenset[str]:
    """Return what a test of the kit needs and the backend lacks."""
    marks = [getattr(kit, name), *(cls for cls in kit.__mro__ if name in vars(cls))]
    needed: frozenset[str] = frozenset()
    for mark in marks:
        needed |= vars(mark).get("needs", frozenset())
    return needed - offered(backend)


def level_of(backend: Backend) -> str:
    """Return the guarantee that a cache gets from this backend (design, section 7)."""
    if Capability.ATOMIC not in backend.capabilities:
        return "G1 stamps"
    if Capability.PUSH not in backend.capabilities:
        return "G2 fenced fills"
    return "G3 fenced and push-coherent"


class BackendConformance(
    EntryTests,
    LeaseTests,
    OverwriteTests,
    ClaimTests,
    DropTests,
    TagTests,
    ClearTests,
    ChannelTests,
    NoChannelTests,
    MailboxTests,
    IndexTests,
    ProbeTests,
    FenceTests,
    NoIndexTests,
    ReversalTests,
    RaceTests,
    HostTests,
):
    """Everything that a backend promises, each test run through `execute` and `aexecute`.

    The whole of a plugin's conformance test::

        class TestRedis(BackendConformance):
            @pytest.fixture
            def backend(self, redis_url: str) -> Iterator[Backend]:
                backend = RedisBackend(BackendLocation(redis_url))
                yield backend
                backend.close()

            def reopen(self, backend: Backend) -> Backend:
                return RedisBackend(backend.location)

    The backend's capabilities decide what is tested; a test of one that it does not declare is
    reported as skipped, "not offered". Names are random, so a store may serve all tests, one after
    the other; nobody else may use it meanwhile, as they look at push channels and clear `tiercel`.

    Attributes:
        virtual_time: Set it if time passes for the backend in `advance` alone, and stands still
            otherwise; then random histories let time pass too.
        examples: Random histories per mode.
        entries: Small entries that are stored at once, and must all stay.
        shrink: Whether a history that fails is made as short as possible before it is shown.
    """

    virtual_time: bool = False
    examples: int = 30
    entries: int = 1_000
    shrink: bool = True

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """Give the backend under test; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `backend`")

    def advance(self, seconds: float) -> None:
        """Let time pass for the backend; by default, wait."""
        time.sleep(seconds)

    def reopen(self, backend: Backend) -> Backend:
        """Return a second, independent client of the same store; by default, the same one."""
        return backend

    def unreachable(self) -> Backend | None:
        """Return a client of a store that does not answer; by default None: it always does."""
        return None

    @pytest.fixture(params=["sync", "async"])
    def tier(self, request: pytest.FixtureRequest, backend: Backend) -> Iterator[Tier]:
        """Give the backend, driven one of the two ways."""
        name = request.node.originalname
        if lacking := not_offered(type(self), name, backend):
            pytest.skip(f"not offered: {', '.join(sorted(lacking))}")
        if request.param == "sync" and not backend.synchronous:
            pytest.skip("not offered: a synchronous side")
        tier = Tier(backend, request.param, self.advance, lambda: self.reopen(backend))
        yield tier
        tier.close()

    def test_histories_of_any_commands_agree_with_the_model(self, tier: Tier) -> None:
        """Random sequences over several keys, partitions and functions hold P1, P3 and P4."""

        def make_tier() -> Tier:
            return dataclasses.replace(tier, space=f"tiercel:{uuid4().hex[:8]}")

        check_histories(make_tier, self.virtual_time, self.examples, self.shrink)

    def test_level_reached(
        self, tier: Tier, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The guarantee that caches get from this backend is shown."""
        level = level_of(tier.backend)
        request.node.user_properties.append(("guarantee", level))  # `record_property` may warn
        with capsys.disabled():
            print(f" [{type(self).__name__}: {level}]", end="")  # noqa: T201
        assert level.startswith("G")

    def test_no_overrides(self) -> None:
        """A subclass may not replace or delete a test of the kit, except to mark it xfail."""
        for name in dir(BackendConformance):
            standard, own = getattr(BackendConformance, name), getattr(type(self), name, None)
            if name.startswith("test_") and own is not standard:
                marks = getattr(own, "pytestmark", [])
                excused = any(m.name == "xfail" and m.kwargs.get("reason") for m in marks)
                assert excused, f"{type(self).__name__}.{name} overrides a test of the kit"
