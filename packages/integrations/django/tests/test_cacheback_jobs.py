"""Jobs in Django: which cache, which queue, what travels to a worker, and the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import tiercel
from packages.integrations.django.tests.shop.models import Owner, Product
from tiercel.spi import ConfigurationError, Message, QueueDispatcher, perform_message
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel_django.cacheback import conf, tasks, utils
from tiercel_django.cacheback.base import Job
from tiercel_django.cacheback.decorators import cacheback
from tiercel_django.cacheback.jobs import FunctionJob, QuerySetGetJob

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
FILES = "django.core.cache.backends.filebased.FileBasedCache"
TIERCEL_CACHE = {"BACKEND": "tiercel_django.cache.TiercelCache"}


class Numbers(Job):
    """Counts its fetches."""

    fetched = 0

    def fetch(self, what: Any = None) -> int:
        type(self).fetched += 1
        return self.fetched


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    """The clock of a default cache with a shared tier."""
    clock = VirtualClock()
    backend = SimulatedBackend(clock)
    tiercel.configure(default=tiercel.Cache(backend=backend, clock=clock, name="default"))
    yield clock
    tiercel.configure()


def on(alias: str | None) -> Numbers:
    """Return a job on the cache of an alias."""
    job = Numbers()
    job.cache_alias = alias
    return job


def test_alias_when_of_caches_then_data_is_kept_there(tmp_path: Path) -> None:
    """Each alias is a cache of its own; the default one is used unless a setting says otherwise."""
    files = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    given = {"default": LOCMEM, "local": LOCMEM, "own": TIERCEL_CACHE, "files": files}
    with override_settings(CACHES=given):
        on("local").set("a", 1)
        on("own").set("a", 2)
        on("files").set("a", 3)
        assert [on(each).get("a") for each in ("local", "own", "files")] == [1, 2, 3]
        assert list(tmp_path.iterdir())
        assert on(None).raw_get("a") is None
        assert on("files").cache.name == "files"
        with override_settings(CACHEBACK_CACHE_ALIAS="local"):
            assert Numbers().cache is on("local").cache
            assert on("default").cache is not on("local").cache


def test_alias_when_of_tiercel_then_that_cache_is_used() -> None:
    """The setting `TIERCEL` goes first."""
    with override_settings(
        TIERCEL={"CACHES": {"local": "memory://"}}, CACHES={"default": LOCMEM, "local": LOCMEM}
    ):
        assert on("local").cache is tiercel.get_cache("local")


def test_alias_when_unknown_then_the_error_names_those_there_are() -> None:
    """It comes at the first call."""
    with (
        override_settings(CACHES={"default": LOCMEM, "local": LOCMEM}),
        pytest.raises(ConfigurationError, match=r"no cache is called 'locla'.*default, local"),
    ):
        on("locla").get()


@pytest.mark.parametrize(("queue", "name"), [("celery", "celery"), ("rq", "django_rq")])
def test_queue_when_set_then_its_dispatcher_carries_refreshes(queue: str, name: str) -> None:
    """`CACHEBACK_TASK_QUEUE` as before; without it, what `TIERCEL` says."""
    assert Job.find_dispatcher() is None
    with override_settings(CACHEBACK_TASK_QUEUE=queue):
        assert FunctionJob.find_dispatcher() == name
    with (
        override_settings(CACHEBACK_TASK_QUEUE="pigeons"),
        pytest.raises(ImproperlyConfigured, match="one of celery, rq, not 'pigeons'"),
    ):
        Job.find_dispatcher()


def test_settings_when_known_then_are_accepted_and_others_pointed_out() -> None:
    """Every setting of django-cacheback is taken."""
    known = {
        "CACHEBACK_CACHE_ALIAS": "default",
        "CACHEBACK_TASK_QUEUE": "rq",
        "CACHEBACK_TASK_IGNORE_RESULT": True,
        "CACHEBACK_VERIFY_CACHE_WRITE": False,
        "CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED": True,
    }
    with override_settings(**known):
        assert conf.check_settings() == []
    wrong = {"CACHEBACK_TASK_QUEU": "rq", "CACHEBACK_TASK_QUEUE": "x", "CACHEBACK_CACHE_ALIAS": 1}
    with override_settings(**wrong):
        said = " ".join(f"{each.msg} {each.hint}" for each in conf.check_settings())
    assert "no setting CACHEBACK_TASK_QUEU Did you mean CACHEBACK_TASK_QUEUE?" in said
    assert "CACHEBACK_TASK_QUEUE must be one of celery, rq, not 'x'" in said
    assert "CACHEBACK_CACHE_ALIAS must be a text, not 1" in said


def test_settings_when_the_application_is_installed_then_are_checked() -> None:
    """`manage.py check` says what is wrong with them."""
    with override_settings(
        INSTALLED_APPS=["tiercel_django", "tiercel_django.cacheback"], CACHEBACK_NONSENSE=1
    ):
        found = run_checks(tags=["tiercel"])
    assert "there is no setting CACHEBACK_NONSENSE" in [each.msg for each in found]


class Outbox(QueueDispatcher):
    """Keeps the messages that a queue would carry."""

    name = "outbox"

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def send(self, message: Message) -> None:
        self.texts.append(message.text)


@pytest.mark.django_db
def test_arguments_when_a_worker_gets_them_then_rows_and_models_are_found_again(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row travels by its primary key, a model by its label; nothing is pickled."""
    ann, outbox = Owner.objects.create(name="ann"), Outbox()
    product = Product.objects.create(owner=ann, name="cup")
    job = QuerySetGetJob(Product, lifetime=5)
    monkeypatch.setattr(job.function, "carrier", lambda job: outbox)
    assert job.get(owner=ann).name == "cup"
    Product.objects.filter(pk=product.pk).update(name="pen")
    clock.advance(6)
    assert job.get(owner=ann).name == "cup"
    (text,) = outbox.texts
    kwargs = json.loads(text)["payload"]["kwargs"]
    assert kwargs["_job"]["$tuple"][0] == {"$tuple": [{"$django.model": "shop.Product"}]}
    assert kwargs["owner"] == {"$django.instance": ["shop.Owner", ann.pk, "default"]}
    perform_message(text)
    assert job.get(owner=ann).name == "pen"


@pytest.mark.django_db
def test_arguments_when_rows_then_stand_in_keys_by_their_primary_key() -> None:
    """Not by hashes that differ from process to process."""
    ann, bob = (Owner.objects.create(name=name) for name in ("ann", "bob"))
    assert Numbers().key(ann) == Numbers().key(Owner.objects.get(pk=ann.pk))
    assert Numbers().key(ann) != Numbers().key(bob)


def test_task_when_django_cacheback_has_left_it_then_is_worked_off(clock: VirtualClock) -> None:
    """`refresh_cache` takes what stands in such messages."""
    path = f"{Numbers.__module__}.{Numbers.__name__}"
    tasks.refresh_cache(path, (), {}, ["left"], {})
    assert Numbers().raw_get("left") is not None


def test_enqueue_task_when_called_then_refreshes_in_the_background(clock: VirtualClock) -> None:
    """By the name of the class, with options of its own."""
    path = f"{Numbers.__module__}.{Numbers.__name__}"
    given: dict[str, Any] = {"klass_str": path, "obj_args": (), "obj_kwargs": {}}
    given |= {"call_args": ("asked",), "call_kwargs": {}}
    with override_settings(TIERCEL={"DEFAULT_DISPATCHER": "inline"}):
        tiercel.configure(default=tiercel.Cache(clock=clock))
        utils.enqueue_task(given)
        assert Numbers().raw_get("asked") is not None
        with pytest.raises(ConfigurationError, match="no option 'queue'"):
            utils.enqueue_task(given, {"queue": "slow"})
    utils.enqueue_task({**given, "klass_str": "no.such.Job"})


@pytest.mark.parametrize("path", ["no.such.Job", f"{__name__}.nothing", "subprocess.Popen"])
def test_get_job_class_when_it_is_none_then_says_so(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """None, and a line in the log."""
    assert utils.get_job_class(path) is None
    assert path in caplog.text
    assert utils.get_job_class(f"{__name__}.Numbers") is Numbers


def test_cacheback_when_without_parentheses_or_with_options_then_makes_jobs_of_django() -> None:
    """Values are kept as Django keeps them, and options are those of `tiercel.cacheback`."""

    @cacheback
    def plain() -> list[int]:
        return [1]

    @cacheback(lifetime=5, refresh_timeout=3, cache_ttl=50, fetch_on_stale_threshold=20)
    def timed() -> int:
        return 1

    assert isinstance(plain.job, FunctionJob)
    plain().append(2)
    assert plain() == [1]
    assert (timed.job.refresh_timeout, timed.job.fetch_on_stale_threshold) == (3, 20)
    with pytest.raises(ConfigurationError, match="lifetime='x' must be"):
        cacheback(lifetime="x")  # type: ignore[call-overload]
