"""An application written for django-cacheback, by its documentation; only its imports are ours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

import tiercel
from packages.integrations.django.tests.shop.models import Owner, Product
from tiercel.testing import VirtualClock
from tiercel_django.cacheback.base import Job
from tiercel_django.cacheback.decorators import cacheback
from tiercel_django.cacheback.jobs import QuerySetFilterJob, QuerySetGetJob

pytestmark = pytest.mark.django_db

clock = VirtualClock()
tweets = count(1)

# The application


class UserTweets(Job):
    lifetime = 60 * 20
    refresh_timeout = 30

    def fetch(self, username: str) -> list[str]:
        return [f"tweet {next(tweets)} of {username}"]


class SlowTweets(Job):
    fetch_on_miss = False
    lifetime = 60

    def fetch(self, username: str) -> list[str]:
        return [f"tweet {next(tweets)} of {username}"]

    def empty(self) -> list[str]:
        return []


class OwnTtl(Job):
    def fetch(self, username: str) -> int:
        return next(tweets)

    def expiry(self, username: str) -> float:
        return clock.time() + (10 if username == "popular" else 1000)

    def key(self, username: str) -> str:
        return f"{self.class_path}:{username}"

    def process_result(
        self, result: Any, call: Any, cache_status: int, sync_fetch: bool | None = None
    ) -> Any:
        return {"result": result, "hit": cache_status == self.HIT, "args": call.args}


@cacheback(lifetime=60 * 15)
def fetch_tweets(username: str) -> list[str]:
    return [f"tweet {next(tweets)} of {username}"]


def show_tweets(request: HttpRequest, username: str) -> HttpResponse:
    return HttpResponse(",".join(UserTweets().get(username)))


def product_detail(request: HttpRequest, name: str) -> HttpResponse:
    product = QuerySetGetJob(Product).get(name=name)
    return HttpResponse(str(product.price))


def owners(request: HttpRequest) -> HttpResponse:
    found = QuerySetFilterJob(Owner, lifetime=30).get(tenant=1)
    return HttpResponse(",".join(sorted(owner.name for owner in found)))


# Its tests


@pytest.fixture(autouse=True)
def one_cache() -> Iterator[None]:
    """Empty caches whose refreshes are done at once."""
    with override_settings(TIERCEL={"DEFAULT_DISPATCHER": "inline"}):
        tiercel.configure(default=tiercel.Cache(clock=clock))
        yield
    tiercel.configure()


def page(view: Any, *args: Any) -> str:
    """Return what a view answers."""
    return str(view(RequestFactory().get("/"), *args).content.decode())


def test_view_when_shown_again_then_serves_what_was_fetched_and_later_refreshes() -> None:
    """The life of an entry, as the documentation tells it."""
    first = page(show_tweets, "ann")
    assert page(show_tweets, "ann") == first
    clock.advance(60 * 20 + 1)
    assert page(show_tweets, "ann") == first
    assert page(show_tweets, "ann") != first


def test_job_when_nothing_may_be_fetched_on_a_miss_then_shows_nothing_at_first() -> None:
    """`empty()` first, data later."""
    assert SlowTweets().get("ann") == []
    assert len(SlowTweets().get("ann")) == 1


def test_job_when_it_overrides_hooks_then_they_decide() -> None:
    """`expiry`, `key` and `process_result`."""
    first = OwnTtl().get("popular")
    assert (first["hit"], first["args"]) == (False, ("popular",))
    assert OwnTtl().get("popular") == {**first, "hit": True}
    clock.advance(11)
    assert OwnTtl().get("popular")["result"] == first["result"]
    assert OwnTtl().get("popular")["result"] > first["result"]
    assert OwnTtl().key("ann").endswith("OwnTtl:ann")


def test_decorated_function_when_managed_by_its_job_then_obeys() -> None:
    """`job.invalidate`, `job.delete`, `job.set`, `job.raw_get`, and `fn`."""
    first = fetch_tweets("ann")
    assert fetch_tweets("ann") == first
    fetch_tweets.job.invalidate(fetch_tweets, "ann")
    second = fetch_tweets("ann")
    assert second != first
    fetch_tweets.job.set(fetch_tweets, "ann", ["mine"])
    assert fetch_tweets("ann") == ["mine"]
    entry = fetch_tweets.job.raw_get(fetch_tweets, "ann")
    assert entry is not None
    assert entry[1] == ["mine"]
    fetch_tweets.job.delete(fetch_tweets, "ann")
    assert fetch_tweets.job.raw_get(fetch_tweets, "ann") is None
    assert fetch_tweets.fn("bob") != fetch_tweets.fn("bob")


def test_queryset_jobs_when_rows_change_then_old_ones_are_served_for_a_lifetime(
    django_assert_num_queries: Any,
) -> None:
    """One query for each read, and none for what is kept; querysets are kept with their rows."""
    owner = Owner.objects.create(name="ann")
    Product.objects.create(owner=owner, name="cup", price=3)
    with django_assert_num_queries(1):
        assert [page(product_detail, "cup"), page(product_detail, "cup")] == ["3", "3"]
    with django_assert_num_queries(1):
        assert [page(owners), page(owners)] == ["ann", "ann"]
    Owner.objects.create(name="bob")
    assert page(owners) == "ann"
    clock.advance(31)
    assert page(owners) == "ann"
    assert page(owners) == "ann,bob"


def test_queryset_job_when_a_caller_changes_a_row_then_others_do_not_see_it() -> None:
    """Everybody has an object of his own, also of what is in memory."""
    Owner.objects.create(name="ann")
    mine = QuerySetGetJob(Owner).get(name="ann")
    mine.name = "changed"
    assert QuerySetGetJob(Owner).get(name="ann").name == "ann"
    rows = QuerySetFilterJob(Owner).get(name="ann")
    assert rows.count() == 1
    assert rows.filter(name="bob").count() == 0


def test_queryset_jobs_when_models_differ_then_so_do_their_keys() -> None:
    """The model is part of the key, options are not; a missing row is not kept."""
    owner = Owner.objects.create(name="cup")
    product = Product.objects.create(owner=owner, name="cup")
    assert QuerySetGetJob(Owner).get(name="cup") == owner
    assert QuerySetGetJob(Product).get(name="cup") == product
    assert QuerySetGetJob(Owner, 5).key(name="cup") == QuerySetGetJob(Owner).key(name="cup")
    with pytest.raises(Product.DoesNotExist):
        QuerySetGetJob(Product).get(name="pen")
    Product.objects.create(owner=owner, name="pen")
    assert QuerySetGetJob(Product).get(name="pen").name == "pen"
