"""The conformance kit for dispatchers: subclass `DispatcherConformance`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from tiercel.caches import Cache
from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec
from tiercel.dispatch import dispatcher_spec, make_dispatcher
from tiercel.errors import ConfigurationError
from tiercel.invalidation import InvalidationRule
from tiercel.plugins import Registry, default_registry, hookimpl
from tiercel.testing.conformance import workshop
from tiercel.testing.conformance.bench import Bench, Mode, Worker
from tiercel.testing.conformance.collapsing import CollapsingTests
from tiercel.testing.conformance.performing import PerformingTests, installed
from tiercel.testing.conformance.promises import Promise
from tiercel.testing.conformance.queues import QueueTests
from tiercel.testing.simulated import SimulatedBackend


class DispatcherConformance(PerformingTests, CollapsingTests, QueueTests):
    """Everything that a dispatcher promises, each test through `dispatch` and `adispatch`.

    The whole of a conformance test for one that stays in this process::

        class TestSingleThread(DispatcherConformance):
            name = "single"
            promises = frozenset({Promise.BACKGROUND})

    One that sends messages also says how a worker is started, and how it looks when its broker
    is down::

        class TestHuey(DispatcherConformance):
            name = "huey"
            promises = frozenset({Promise.BACKGROUND, Promise.RETRIES})

            def worker_command(self, module: str, queue: str) -> list[str]:
                return ["huey_consumer", "my_worker.huey", "--queue", queue, "--import", module]

            def unreachable(self) -> Dispatcher:
                return self.make_dispatcher(url="redis://localhost:1")

    One worker serves all tests of the class but those that kill it, or want one of their own.

    Attributes:
        name: What `dispatcher=` calls it, where a plugin is installed.
        spec: Instead of `name`, the spec of one that is not.
        options: Options that every dispatcher of these tests is made with.
        wrong_option: One of its own with a value that cannot work; by default, one it has not.
        promises: What it promises beyond what all dispatchers do.
        modes: The ways in which tasks are dispatched.
        patience: Seconds after which something that should happen counts as missing; it must be
            enough for a worker to start, and for a broker to notice that one was killed.
        backoff: Seconds before the first retry, of dispatchers made by tests of retries.
        low_priority: A priority, as the broker understands it, that is lower than
        high_priority: this one.
    """

    name: ClassVar[str] = ""
    spec: ClassVar[DispatcherSpec | None] = None
    options: ClassVar[Mapping[str, Any]] = {}
    wrong_option: ClassVar[Mapping[str, Any]] = {"no_such_option": 1}
    promises: ClassVar[frozenset[Promise]] = frozenset()
    modes: ClassVar[Sequence[Mode]] = ("sync", "async")
    patience: float = 90.0
    backoff: float = 0.3
    low_priority: int = 1
    high_priority: int = 9

    # What an author may override

    def make_dispatcher(self, **options: Any) -> Dispatcher:
        """Make a dispatcher with these options over `options`, as a cache would."""
        return make_dispatcher(self._name, {**self.options, **options}, self._registry())

    def worker_command(self, module: str, queue: str) -> Sequence[str]:
        """Return the command of a worker that imports `module` and serves `queue`, one by one."""
        raise NotImplementedError(f"{type(self).__name__} needs worker_command()")

    def worker_environment(self) -> Mapping[str, str]:
        """Return what the worker's environment has besides that of this process."""
        return {}

    def unreachable(self) -> Dispatcher:
        """Return a dispatcher whose broker does not answer."""
        raise NotImplementedError(f"{type(self).__name__} needs unreachable()")

    def dead_letters(self, queue: str) -> list[str] | None:
        """Return the texts of our messages that were given up, or None: the log must do."""
        return None

    # What the tests use

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls) -> str:
        """Give the queue that all tests of the class share."""
        return f"tiercel-{uuid4().hex[:8]}"

    @pytest.fixture(scope="class")
    @classmethod
    def worker(cls, queue: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
        """Give the worker that serves it."""
        log = tmp_path_factory.mktemp("worker") / "log"
        worker = cls()._worker(queue, log)
        yield worker
        worker.stop()

    @contextmanager
    def start_worker(self, queue: str) -> Iterator[Worker]:
        """Run another worker for a while."""
        self._workers += 1
        worker = self._worker(queue, self._folder / f"worker-{self._workers}.log")
        try:
            yield worker
        finally:
            worker.stop()

    _workers = 0
    _folder: Path

    @pytest.fixture(params=["sync", "async"])
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
        """Give the dispatcher under test, used one of the two ways."""
        mode: Mode = request.param
        if mode not in self.modes:
            pytest.skip(f"not offered: {mode} use")
        needed = vars(getattr(type(self), request.node.originalname)).get("promises", frozenset())
        if lacking := needed - self.promises:
            pytest.skip(f"not offered: {'; '.join(sorted(lacking))}")
        self._folder = tmp_path
        if self._crosses_processes:
            queue = request.getfixturevalue("queue")
            bench = Bench(self.make_dispatcher(queue=queue), tmp_path, self.patience, mode)
            bench.queue, bench.worker = queue, request.getfixturevalue("worker")
        else:
            bench = Bench(self.make_dispatcher(), tmp_path, self.patience, mode)
        yield bench
        bench.close()

    def test_unknown_options_are_refused(self) -> None:
        """A misspelt option is an error that names it."""
        with pytest.raises(ConfigurationError, match="no_such_option"):
            self.make_dispatcher(no_such_option=1)

    @pytest.mark.parametrize("place", ["function", "rule"])
    def test_option_that_cannot_work_is_refused_at_decoration(self, place: str) -> None:
        """Not first when the dispatcher is used; and nothing is connected to find that out."""
        config = {**self.options, **self.wrong_option}
        carried: Any = {"dispatcher": self._name, "dispatcher_config": config}
        cache = Cache(backend=SimulatedBackend(), name="options")
        with installed(self._registry() or default_registry()):
            rule = InvalidationRule("orders", field_mapping=InvalidationRule.ALL, **carried)
            given: Any = carried if place == "function" else {"invalidates_on": [rule]}
            with pytest.raises(ConfigurationError, match=next(iter(self.wrong_option))):
                cache.cached(**given)(lambda: 1)

    def test_spec_says_what_the_dispatcher_is(self) -> None:
        """A cache can tell from the spec alone whether tasks leave the process."""
        spec = dispatcher_spec(self._name, registry=self._registry())
        dispatcher = self.make_dispatcher()
        assert dispatcher.name == spec.name
        assert dispatcher.crosses_processes == spec.crosses_processes
        dispatcher.close(self.patience)

    def test_no_overrides(self) -> None:
        """A subclass may not replace or delete a test of the kit, except to mark it xfail."""
        for name in dir(DispatcherConformance):
            standard, own = getattr(DispatcherConformance, name), getattr(type(self), name, None)
            if name.startswith("test_") and own is not standard:
                marks = getattr(own, "pytestmark", [])
                excused = any(m.name == "xfail" and m.kwargs.get("reason") for m in marks)
                assert excused, f"{type(self).__name__}.{name} overrides a test of the kit"

    def _worker(self, queue: str, log: Path) -> Worker:
        command = self.worker_command(workshop.__name__, queue)
        return Worker(command, self.worker_environment(), log)

    @property
    def _name(self) -> str:
        return self.spec.name if self.spec is not None else self.name

    @property
    def _crosses_processes(self) -> bool:
        return dispatcher_spec(self._name, registry=self._registry()).crosses_processes

    def _registry(self) -> Registry | None:
        """Return where the dispatcher is found; None: among what is installed."""
        if self.spec is None:
            return None
        registry = Registry()
        registry.register(_Plugin(self.spec))
        return registry


class _Plugin:
    """Provides one dispatcher."""

    def __init__(self, spec: DispatcherSpec) -> None:
        self._spec = spec

    @hookimpl
    def tiercel_dispatchers(self) -> list[DispatcherSpec]:
        return [self._spec]
