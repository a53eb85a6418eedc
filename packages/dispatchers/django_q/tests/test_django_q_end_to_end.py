"""Web processes and clusters are real: drops arrive, and none is lost when something dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from packages.dispatchers.django_q.tests.django_q_programs import Shop
from tiercel.testing.servers import RedisServer, wait_until

MakeShop = Callable[..., Shop]

DONE = "Processed 'tiercel_django_q.tasks.perform' (invalidate of tests.brokers.warehouse"


@pytest.mark.parametrize("broker", [pytest.param("orm", marks=pytest.mark.long), "redis"])
def test_change_when_a_cluster_runs_then_a_third_process_computes_anew(
    make_shop: MakeShop, redis: RedisServer, broker: str
) -> None:
    """One process reports a change, the cluster that it names drops, another one misses."""
    url = redis.patient_url if broker == "redis" else broker
    shop = make_shop(url, queue="drops")
    shop.set("price", 1)
    assert shop.read("price") == 1
    shop.set("price", 2)
    assert shop.read("price") == 1
    shop.change("price")
    with shop.cluster("drops") as cluster:
        cluster.wait_for(DONE)
    assert shop.read("price") == 2
    assert shop.failures() == []


def test_work_when_its_cluster_is_killed_then_the_next_one_does_it(make_shop: MakeShop) -> None:
    """On the ORM broker: SIGKILL for every process of a cluster, in mid-task."""
    shop = make_shop()
    shop.set("stock", 1)
    assert shop.read("stock") == 1
    shop.set("stock", 2)
    shop.set("hold")
    shop.change("stock")
    with shop.cluster(SHOP_TASK_TIMEOUT="3") as cluster:
        wait_until(lambda: len(shop.tries()) == 1, "the work to begin")
        cluster.kill()
    shop.unset("hold")
    with shop.cluster() as cluster:
        cluster.wait_for(DONE)
    assert len(shop.tries()) == 2
    assert shop.read("stock") == 2


def test_change_when_redis_is_down_then_is_carried_out_at_once(
    make_shop: MakeShop, redis: RedisServer
) -> None:
    """Without any cluster: the process that reports the change drops by itself, and says so."""
    shop = make_shop(redis.patient_url)
    shop.set("price", 1)
    assert shop.read("price") == 1
    shop.set("price", 2)
    redis.kill()
    assert "was not accepted by dispatcher 'django_q' and is done at once" in shop.change("price")
    assert shop.read("price") == 2


def test_change_when_the_database_refuses_then_is_carried_out_at_once(make_shop: MakeShop) -> None:
    """The same on the ORM broker, whose database another process does not let go of."""
    shop = make_shop()
    shop.variables["SHOP_PATIENCE"] = "0.2"
    shop.set("price", 1)
    assert shop.read("price") == 1
    shop.set("price", 2)
    other = sqlite3.connect(shop.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "was not accepted by dispatcher 'django_q' and is done at once" in shop.change("price")
    other.close()
    assert shop.read("price") == 2


def test_work_when_it_fails_then_is_repeated_with_growing_pauses_and_kept(
    make_shop: MakeShop,
) -> None:
    """On the ORM broker: only the last failure is one for django-q2."""
    shop = make_shop(max_retries=2, min_backoff=0.5, group="mine")
    shop.set("broken")
    shop.change("stock")
    with shop.cluster() as cluster:
        wait_until(lambda: len(shop.failures()) == 1, "the last try")
    first, second, third = shop.tries()
    assert second - first >= 0.5
    assert third - second >= 1.0
    ((name, group),) = shop.failures()
    assert (name[:14], group) == ("invalidate of ", "mine")
    assert cluster.log().count("and is repeated in") == 2


def test_work_when_it_takes_too_long_then_is_repeated(make_shop: MakeShop) -> None:
    """A time limit of django-q2 is a failure like any other."""
    shop = make_shop(timeout=1, min_backoff=0.1)
    shop.set("stock", 1)
    assert shop.read("stock") == 1
    shop.set("stock", 2)
    shop.set("hold")
    shop.change("stock")
    with shop.cluster() as cluster:
        cluster.wait_for("failed in try 1 of 6 and is repeated in 0.1 s")
        shop.unset("hold")
        wait_until(lambda: cluster.log().count(DONE) >= 2, "the second try")
    assert "Task exceeded maximum timeout value (1 seconds)" in cluster.log()
    assert shop.read("stock") == 2


@pytest.mark.long
def test_work_on_redis_when_it_fails_then_waits_in_the_table_of_schedules(
    make_shop: MakeShop, redis: RedisServer
) -> None:
    """Where messages cannot wait, retries are as exact as the scheduler: half a minute."""
    shop = make_shop(redis.patient_url, max_retries=1, min_backoff=0.5)
    shop.set("broken")
    shop.change("stock")
    with shop.cluster():
        wait_until(lambda: len(shop.failures()) == 1, "the last try", 180)
    assert len(shop.tries()) == 2
