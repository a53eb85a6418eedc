"""Options of the dispatcher, which app it sends to, and schedules for Celery beat."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from celery.beat import Scheduler

import tiercel_celery
from packages.dispatchers.celery.tests.brokers import TestQueue, celery_app
from tests.brokers.sending import message
from tiercel import ConfigurationError
from tiercel.dispatch import make_dispatcher
from tiercel.plugins import Registry
from tiercel.spi import Dispatcher
from tiercel.testing.servers import RedisServer
from tiercel_celery import apps, plugin
from tiercel_celery.dispatcher import CeleryDispatcher


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No app of another test is found."""
    monkeypatch.setattr(apps, "_installed", [])
    monkeypatch.setattr(apps, "living_apps", list)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with an app in it, not imported yet."""
    code = (
        "from celery import Celery\n"
        "app = Celery('named', set_as_current=False)\n"
        "class proj: celery = app\n"
        "number = 1\n"
    )
    (tmp_path / "celery_project.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield "celery_project"
    sys.modules.pop("celery_project", None)


def make(options: dict[str, Any]) -> Dispatcher:
    """Make a dispatcher by name, as a cache does."""
    registry = Registry()
    registry.register(plugin)
    return make_dispatcher("celery", options, registry)


def test_plugin_when_asked_by_name_then_it_gives_the_dispatcher() -> None:
    """Options reach the dispatcher."""
    dispatcher = make({"queue": "caches", "priority": 3, "max_retries": 2})
    assert isinstance(dispatcher, CeleryDispatcher)
    assert (dispatcher.queue, dispatcher.priority, dispatcher.crosses_processes) == (
        "caches",
        3,
        True,
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"queue": ""}, "queue"),
        ({"max_retries": -1}, "max_retries"),
        ({"app": 5}, "app"),
        ({"app": "proj..app"}, "app"),
        ({"beat": "yes"}, "beat"),
        ({"que": "caches"}, "did you mean 'queue'"),
    ],
)
def test_option_when_it_cannot_work_then_the_error_names_it(
    options: dict[str, Any], named: str
) -> None:
    """Wrong options are errors when the dispatcher is made."""
    with pytest.raises(ConfigurationError, match=named):
        make(options)


@pytest.mark.parametrize("path", ["celery_project:app", "celery_project.app"])
def test_app_when_it_is_a_path_then_it_is_imported_at_first_use(module: str, path: str) -> None:
    """A path may name a module that itself imports the decorated functions."""
    dispatcher = CeleryDispatcher(app=path)
    assert module not in sys.modules
    assert dispatcher.app.main == "named"


@pytest.mark.parametrize("path", ["celery_project:nothing", "no_such_module:app"])
def test_app_when_its_path_leads_nowhere_then_the_error_names_it(module: str, path: str) -> None:
    """So one sees which option is wrong."""
    with pytest.raises(ConfigurationError, match=path):
        _ = CeleryDispatcher(app=path).app


def test_app_when_its_path_names_something_else_then_it_is_refused(module: str) -> None:
    """A number is no app."""
    with pytest.raises(ConfigurationError, match="is no Celery app but 1"):
        _ = CeleryDispatcher(app=f"{module}:number").app


def in_thread(dispatcher: CeleryDispatcher) -> Celery | Exception:
    """Return the app that a dispatcher finds in a thread where Celery knows no current app."""
    found: list[Celery | Exception] = []

    def find() -> None:
        try:
            found.append(dispatcher.app)
        except ConfigurationError as error:
            found.append(error)

    thread = threading.Thread(target=find)
    thread.start()
    thread.join()
    return found[0]


def test_app_when_none_is_given_then_the_installed_one_is_used_in_every_thread() -> None:
    """Celery's own current app is another in each thread."""
    mine, other = celery_app("memory://"), celery_app("memory://")
    tiercel_celery.install(other)
    tiercel_celery.install(mine)
    assert in_thread(CeleryDispatcher()) is mine


@pytest.mark.parametrize("finalized", [False, True])
def test_install_when_it_names_queues_then_other_workers_serve_what_they_did(
    finalized: bool,
) -> None:
    """The queue is declared with dead letters for whoever names it, and for nobody else."""
    app = celery_app("memory://")
    if finalized:
        app.finalize()
    tiercel_celery.install(app, "caches")
    app.finalize()
    arguments = app.amqp.queues["caches"].queue_arguments or {}
    assert arguments["x-dead-letter-routing-key"] == "caches.dead"
    assert list(app.amqp.queues.consume_from) == ["celery"]


def test_app_when_the_process_has_one_then_it_is_used_in_every_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One app needs no configuration; the fallback that Celery makes up does not count."""
    mine = celery_app("memory://")
    fallback = Celery("default", set_as_current=False)
    monkeypatch.setattr(apps, "living_apps", lambda: [mine, fallback])
    assert in_thread(CeleryDispatcher()) is mine


def test_app_when_there_are_two_or_none_then_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No task goes to a broker that nobody named."""
    assert "install(app)" in str(in_thread(CeleryDispatcher()))
    two = [celery_app("memory://"), celery_app("memory://")]
    monkeypatch.setattr(apps, "living_apps", lambda: two)
    error = in_thread(CeleryDispatcher())
    assert isinstance(error, ConfigurationError)
    assert all(str(app.main) in str(error) for app in two)


def test_app_when_it_is_current_then_it_is_used() -> None:
    """What Celery calls the current app comes before guessing."""
    before = current_app._get_current_object()
    mine = celery_app("memory://")
    mine.set_current()
    try:
        assert CeleryDispatcher().app is mine
    finally:
        before.set_current()


def test_schedule_when_beat_runs_then_its_entry_sends_what_dispatch_would(
    redis: RedisServer,
) -> None:
    """Beat's entry goes to the same queue, with the same retries; one of its name is replaced."""
    queue = TestQueue(redis.url)
    app = celery_app(redis.url)
    dispatcher = CeleryDispatcher(app=app, beat=True, queue=queue.name, max_retries=2)
    assert dispatcher.schedule("rates", 60.0, message("old")) is True
    assert dispatcher.schedule("rates", 0.05, message("new")) is True
    beat = Scheduler(app=app)
    time.sleep(0.1)
    beat.tick()
    taken = queue.take()
    assert taken is not None
    assert taken.args == ["new"]
    assert taken.headers["task"] == "tiercel.perform"
    assert taken.headers["tiercel_retries"] == [2, 1.0, 300.0]


def test_schedule_when_nothing_says_that_beat_runs_then_it_is_left_to_others() -> None:
    """An entry that no beat reads would never be refreshed."""
    app = celery_app("memory://")
    assert CeleryDispatcher(app=app).schedule("rates", 60.0, message()) is False
    assert not app.conf.beat_schedule


def test_worker_when_code_is_run_as_a_task_then_it_is_known() -> None:
    """What would be built in the background is computed at once there; not in a mere call."""
    app = Celery("asked", set_as_current=False)
    dispatcher = CeleryDispatcher(app=app)

    def is_asked() -> bool:
        return dispatcher.in_worker()

    ask: Any = app.task(name="ask")(is_asked)
    assert ask.apply().get() is True
    assert ask() is False
    assert dispatcher.in_worker() is False
