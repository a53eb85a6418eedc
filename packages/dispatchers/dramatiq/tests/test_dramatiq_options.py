"""Options of the dispatcher, which broker it sends to, and whether that one is fit for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

import tiercel_dramatiq
from tests.brokers.sending import message
from tiercel import ConfigurationError
from tiercel.dispatch import make_dispatcher
from tiercel.plugins import Registry
from tiercel.spi import Dispatcher
from tiercel_dramatiq import plugin
from tiercel_dramatiq.dispatcher import DramatiqDispatcher


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a broker in it, not imported yet."""
    code = "from dramatiq.brokers.stub import StubBroker\nbroker = StubBroker()\nnumber = 1\n"
    (tmp_path / "dramatiq_project.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield "dramatiq_project"
    sys.modules.pop("dramatiq_project", None)


@pytest.fixture
def stub() -> StubBroker:
    """A broker in this process, set as the global one."""
    broker = StubBroker()
    dramatiq.set_broker(broker)
    return broker


def canonical(broker: dramatiq.Broker) -> set[str]:
    """Return the queues of a broker, without those for delayed messages."""
    return broker.get_declared_queues() - broker.get_declared_delay_queues()


def make(options: dict[str, Any]) -> Dispatcher:
    """Make a dispatcher by name, as a cache does."""
    registry = Registry()
    registry.register(plugin)
    return make_dispatcher("dramatiq", options, registry)


def test_plugin_when_asked_by_name_then_it_gives_the_dispatcher() -> None:
    """Options reach the dispatcher."""
    dispatcher = make({"queue": "caches", "max_retries": 2})
    assert isinstance(dispatcher, DramatiqDispatcher)
    assert (dispatcher.queue, dispatcher.retries.max_retries) == ("caches", 2)
    assert dispatcher.crosses_processes


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": "high"}, "priority"),
        ({"queue": "my caches"}, "queue"),
        ({"queue": "1"}, "queue"),
        ({"max_retries": -1}, "max_retries"),
        ({"broker": 5}, "broker"),
        ({"broker": "proj.broker"}, "broker"),
        ({"brokr": "proj:broker"}, "did you mean 'broker'"),
    ],
)
def test_option_when_it_cannot_work_then_the_error_names_it(
    options: dict[str, Any], named: str
) -> None:
    """Wrong options are errors when the dispatcher is made."""
    with pytest.raises(ConfigurationError, match=named):
        make(options)


def test_broker_when_it_is_a_path_then_it_is_imported_at_first_use(module: str) -> None:
    """A path may name a module that itself imports the decorated functions."""
    dispatcher = DramatiqDispatcher(broker=f"{module}:broker")
    assert module not in sys.modules
    assert isinstance(dispatcher.broker, StubBroker)


@pytest.mark.parametrize("path", ["dramatiq_project:nothing", "no_such_module:broker"])
def test_broker_when_its_path_leads_nowhere_then_the_error_names_it(module: str, path: str) -> None:
    """So one sees which option is wrong."""
    with pytest.raises(ConfigurationError, match=path):
        _ = DramatiqDispatcher(broker=path).broker


def test_broker_when_its_path_names_something_else_then_it_is_refused(module: str) -> None:
    """A number is no broker."""
    with pytest.raises(ConfigurationError, match="is no Dramatiq broker but 1"):
        _ = DramatiqDispatcher(broker=f"{module}:number").broker


def test_broker_when_there_is_none_then_no_other_is_made_up() -> None:
    """Dramatiq itself would send to a RabbitMQ on this machine."""
    with pytest.raises(ConfigurationError, match="set_broker"):
        DramatiqDispatcher().send(message())


@pytest.mark.parametrize(
    ("broker", "options", "advice"),
    [
        (lambda: RabbitmqBroker(url="amqp://x"), {}, "confirm_delivery=True"),
        (lambda: StubBroker(middleware=[]), {}, "Retries"),
        (lambda: RedisBroker(url="redis://x"), {"priority": 1}, "priority=1 has no effect"),
        (
            lambda: RabbitmqBroker(url="amqp://x", confirm_delivery=True),
            {"priority": 1},
            "max_priority=10",
        ),
        (
            lambda: RabbitmqBroker(url="amqp://x", confirm_delivery=True, max_priority=10),
            {"priority": 11},
            "0 to 10",
        ),
    ],
)
def test_broker_when_it_would_lose_tasks_or_ignore_priorities_then_it_is_refused(
    broker: Any, options: dict[str, int], advice: str
) -> None:
    """The error comes when the dispatcher is made, and says how to make the broker."""
    with pytest.raises(ConfigurationError, match=advice):
        DramatiqDispatcher(broker=broker(), **options)


def test_broker_when_it_is_set_later_then_it_is_checked_at_first_use() -> None:
    """The order of imports does not matter."""
    dispatcher = DramatiqDispatcher()
    dramatiq.set_broker(StubBroker(middleware=[]))
    with pytest.raises(ConfigurationError, match="Retries"):
        dispatcher.send(message())


def test_worker_when_its_module_is_imported_then_it_serves_what_dispatchers_use(
    stub: StubBroker,
) -> None:
    """Queues of dispatchers that were made before, or are made later, and the default one."""
    DramatiqDispatcher(queue="earlier")
    sys.modules.pop("tiercel_dramatiq.worker", None)
    importlib.import_module("tiercel_dramatiq.worker")
    DramatiqDispatcher(queue="later")
    assert canonical(stub) == {"default", "earlier", "later"}
    assert stub.get_declared_actors() == {"tiercel"}


def test_install_when_it_names_queues_then_workers_of_that_broker_serve_them() -> None:
    """A project with a broker of its own says so itself; twice does no harm."""
    broker = StubBroker()
    for _ in range(2):
        tiercel_dramatiq.install(broker, "caches", "reports")
    assert canonical(broker) == {"default", "caches", "reports"}


def test_worker_when_no_broker_is_set_then_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The worker's command line must name the module that sets the broker first."""
    with pytest.raises(ConfigurationError, match="set_broker"):
        tiercel_dramatiq.install()
    sys.modules.pop("tiercel_dramatiq.worker", None)
    importlib.import_module("tiercel_dramatiq.worker")
    assert "after the module that calls dramatiq.set_broker()" in caplog.text


def test_install_when_the_broker_would_lose_tasks_then_it_is_refused() -> None:
    """A worker sends again what has failed, so its broker must be as fit as that of others."""
    with pytest.raises(ConfigurationError, match="confirm_delivery=True"):
        tiercel_dramatiq.install(RabbitmqBroker(url="amqp://x"))


def test_schedule_when_asked_then_it_is_left_to_others(stub: StubBroker) -> None:
    """Dramatiq has no scheduler."""
    assert DramatiqDispatcher().schedule("rates", 60.0, message()) is False
