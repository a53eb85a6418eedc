"""`cached`: Flask-Caching's decorator for views, with the safety of cached views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort, request, session
from flask.views import MethodView, View

from packages.integrations.flask.tests.making import hits, make_app
from tiercel import CachedResponse, ConfigurationError
from tiercel.testing import VirtualClock
from tiercel_flask import Tiercel, cache_view_hit, cache_view_miss


class Counter:
    """Counts how often a view ran."""

    def __init__(self) -> None:
        self.count = 0

    def up(self) -> str:
        self.count += 1
        return str(self.count)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def made(clock: VirtualClock) -> tuple[Flask, Tiercel]:
    return make_app(clock, TIERCEL_SIGNALS=True)


@pytest.fixture
def counter() -> Counter:
    return Counter()


def serve(app: Flask, decorator: Any, view: Any, rule: str = "/page", **options: Any) -> Any:
    """Put a view at a rule and return a client."""
    app.add_url_rule(rule, "page", decorator(view), **options)
    return app.test_client()


def test_cached_when_asked_again_then_the_cache_answers_until_the_timeout(
    made: tuple[Flask, Tiercel], clock: VirtualClock, counter: Counter
) -> None:
    """A view is called once per path, query and timeout."""
    app, tiercel = made
    client = serve(app, tiercel.cached(timeout=50), counter.up)
    texts = [client.get(path).text for path in ("/page", "/page", "/page?a=1", "/page?a=1")]
    assert texts == ["1", "1", "2", "2"]
    assert hits(client.get("/page"))
    clock.advance(51)
    assert client.get("/page").text == "3"


@pytest.mark.parametrize("timeout", ["50", -5, True])
def test_decorators_when_a_timeout_cannot_be_one_then_refuse_it_at_once(timeout: Any) -> None:
    """Not at the first request."""
    for decorator in (Tiercel().cached, Tiercel().memoize):
        with pytest.raises(ConfigurationError, match=r"timeout=.* must be seconds or a timedelta"):
            decorator(timeout)


def test_cached_when_no_timeout_is_given_then_the_default_one_counts(
    made: tuple[Flask, Tiercel], clock: VirtualClock, counter: Counter
) -> None:
    """300 seconds, as the config has it; the decorated view can say another."""
    app, tiercel = made
    view = tiercel.cached()(counter.up)
    client = serve(app, lambda given: given, view)
    assert client.get("/page").text == "1"
    clock.advance(301)
    assert client.get("/page").text == "2"
    view.cache_timeout = 1000
    clock.advance(301)
    assert [client.get("/page").text, client.get("/page").text] == ["3", "3"]
    clock.advance(900)
    assert client.get("/page").text == "3"


def test_cached_when_the_query_does_not_count_then_one_entry_answers(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """`query_string=False` says that the query does not change the response."""
    app, tiercel = made
    client = serve(app, tiercel.cached(query_string=False), counter.up)
    assert [client.get(path).text for path in ("/page?a=1", "/page?a=2")] == ["1", "1"]


def test_cached_when_the_key_is_constant_or_made_then_that_decides(
    made: tuple[Flask, Tiercel],
) -> None:
    """A text without %s, a callable prefix and `make_cache_key` are keys."""
    app, tiercel = made
    counters = [Counter() for _ in range(3)]
    chosen: list[dict[str, Any]] = [
        {"key_prefix": "all"},
        {"key_prefix": lambda: request.args["a"]},
        {"make_cache_key": lambda: request.args["b"].lower()},
    ]
    for number, options in enumerate(chosen):
        decorated = tiercel.cached(**options, name=f"page{number}")(counters[number].up)
        app.add_url_rule(f"/page{number}", f"page{number}", decorated)
    client = app.test_client()
    queries = ["a=1&b=x", "a=1&b=X", "a=2&b=x"]
    found = [[client.get(f"/page{n}?{query}").text for query in queries] for n in range(3)]
    assert found == [["1", "1", "1"], ["1", "1", "2"], ["1", "1", "1"]]


def test_cached_when_a_constant_key_names_a_plain_function_then_its_value_is_kept(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """As Flask-Caching's documentation shows for functions that are no views."""
    app, tiercel = made

    @tiercel.cached(timeout=50, key_prefix="all_comments")
    def comments() -> list[str]:
        return [counter.up()]

    with app.app_context():
        assert [comments(), comments()] == [["1"], ["1"]]
    with app.test_request_context("/"):
        assert comments() == ["1"]
    assert comments.uncached() == ["2"]


@pytest.mark.parametrize("truth", [True, "yes", 1])
def test_cached_when_a_predicate_is_true_then_it_counts_whatever_kind_of_truth(
    made: tuple[Flask, Tiercel], counter: Counter, truth: Any
) -> None:
    """`unless` bypasses, `forced_update` renews: any true value does, not True alone."""
    app, tiercel = made
    flags = {"unless": False, "forced": False}
    decorator = tiercel.cached(
        unless=lambda: truth if flags["unless"] else 0,
        forced_update=lambda: truth if flags["forced"] else "",
    )
    client = serve(app, decorator, counter.up)
    assert [client.get("/page").text for _ in range(2)] == ["1", "1"]
    flags["unless"] = True
    assert [client.get("/page").text for _ in range(2)] == ["2", "3"]
    flags.update(unless=False, forced=True)
    assert client.get("/page").text == "4"
    flags["forced"] = False
    assert client.get("/page").text == "4"


def test_cached_when_a_filter_refuses_or_a_value_is_stale_then_it_is_computed_anew(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """`response_filter` sees what the view returned, `is_stale` what the cache has."""
    app, tiercel = made

    @tiercel.cached(key_prefix="n", response_filter=lambda text: text != "1", is_stale=is_two)
    def number() -> str:
        return counter.up()

    with app.app_context():
        assert [number() for _ in range(4)] == ["1", "2", "3", "3"]


def is_two(value: str) -> bool:
    return value == "2"


def test_cached_when_none_is_returned_then_it_is_kept_only_on_request(
    made: tuple[Flask, Tiercel],
) -> None:
    """`cache_none=True` keeps None."""
    app, tiercel = made
    calls: list[str] = []

    def ask(name: str) -> None:
        calls.append(name)

    with app.app_context():
        for kept in (False, True):
            decorated = tiercel.cached(key_prefix=f"none{kept}", cache_none=kept, name=f"n{kept}")
            cached = decorated(ask)
            cached(str(kept))
            cached(str(kept))
    assert calls == ["False", "False", "True"]


def test_cached_when_the_view_aborts_then_the_error_is_not_kept(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """A 401 or 500 of one moment is for those who asked then."""
    app, tiercel = made

    def page() -> str:
        if counter.up() == "1":
            abort(401)
        return "fine"

    client = serve(app, tiercel.cached(), page)
    assert [client.get("/page").status_code for _ in range(3)] == [401, 200, 200]
    assert counter.count == 2


def test_cached_when_the_session_is_used_then_nothing_is_shared(
    made: tuple[Flask, Tiercel],
) -> None:
    """What one visitor's session shaped is not shown to another."""
    app, tiercel = made

    def page() -> str:
        return str(session.setdefault("name", request.args.get("name", "nobody")))

    app.add_url_rule("/page", "page", tiercel.cached(query_string=False)(page))
    ann, bob = app.test_client(), app.test_client()
    assert ann.get("/page?name=ann").text == "ann"
    assert bob.get("/page?name=bob").text == "bob"


def test_cached_when_views_are_classes_then_each_has_its_entries(
    made: tuple[Flask, Tiercel],
) -> None:
    """`decorators` of a View, and the methods of a MethodView."""
    app, tiercel = made
    calls: list[str] = []

    class One(View):
        decorators = [tiercel.cached(timeout=50)]  # noqa: RUF012

        def dispatch_request(self) -> str:
            calls.append("one")
            return "one"

    class Two(MethodView):
        @tiercel.cached(timeout=50)
        def get(self, name: str) -> str:
            calls.append(name)
            return name

    app.add_url_rule("/one", view_func=One.as_view("one"))
    app.add_url_rule("/two/<name>", view_func=Two.as_view("two"))
    client = app.test_client()
    texts = [client.get(path).text for path in ("/one", "/one", "/two/a", "/two/b", "/two/a")]
    assert texts == ["one", "one", "a", "b", "a"]
    assert calls == ["one", "a", "b"]


def test_cached_when_the_view_is_a_coroutine_then_it_stays_one(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """Async views are awaited by Flask, hits included."""
    app, tiercel = made

    async def page() -> str:
        return counter.up()

    client = serve(app, tiercel.cached(timeout=50), page)
    assert [client.get("/page").text for _ in range(2)] == ["1", "1"]


def test_cached_when_a_generator_streams_then_its_whole_is_kept(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """As in Flask-Caching; up to a megabyte."""
    app, tiercel = made

    def page() -> Response:
        def chunks() -> Iterator[str]:
            yield counter.up()
            yield "!"

        return Response(chunks())

    client = serve(app, tiercel.cached(timeout=50), page)
    assert [client.get("/page").text for _ in range(2)] == ["1!", "1!"]


def test_cached_when_a_response_says_its_own_timeout_then_that_counts(
    made: tuple[Flask, Tiercel], clock: VirtualClock, counter: Counter
) -> None:
    """`CachedResponse`, as Flask-Caching has it."""
    app, tiercel = made
    client = serve(
        app, tiercel.cached(timeout=50), lambda: CachedResponse(Response(counter.up()), 10)
    )
    assert client.get("/page").text == "1"
    clock.advance(11)
    assert client.get("/page").text == "2"


def test_cached_when_signals_are_on_then_hits_and_misses_are_told(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """The sender is the Tiercel that decorated the view."""
    app, tiercel = made
    client = serve(app, tiercel.cached(timeout=50), counter.up)
    told: list[tuple[str, str]] = []

    def hit(sender: Any, cache_key: str, **about: Any) -> None:
        told.append(("hit", cache_key))

    def miss(sender: Any, cache_key: str, **about: Any) -> None:
        told.append(("miss", cache_key))

    with cache_view_hit.connected_to(hit, tiercel), cache_view_miss.connected_to(miss, tiercel):
        client.get("/page")
        client.get("/page")
    assert [what for what, _ in told] == ["miss", "hit"]
    assert told[0][1] == told[1][1]
    client.get("/page")
    assert len(told) == 2


def test_cached_when_the_source_counts_then_its_version_is_in_the_key(
    made: tuple[Flask, Tiercel],
) -> None:
    """`source_check=True` makes entries of another source void."""
    app, tiercel = made

    @tiercel.cached(key_prefix="a", source_check=True, name="checked")
    def checked() -> int:
        return 1

    @tiercel.cached(key_prefix="a", name="unchecked")
    def unchecked() -> int:
        return 1

    with app.app_context():
        keys = checked.make_cache_key(), unchecked.make_cache_key()
    assert keys[0].replace("unchecked", "checked") != keys[1].replace("unchecked", "checked")
    with pytest.raises(ConfigurationError, match="source"):
        tiercel.cached(source_check=True)(eval("lambda: 1"))


def test_cached_when_the_prefix_is_no_text_then_it_is_refused(
    made: tuple[Flask, Tiercel],
) -> None:
    """At decoration."""
    wrong: Any = 3
    with pytest.raises(ConfigurationError, match="key_prefix=3"):
        made[1].cached(key_prefix=wrong)


def test_cached_view_when_a_namespace_is_dropped_then_one_user_sees_anew(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """`cached_view` is that of the core, on the caches of the running application."""
    app, tiercel = made
    view = tiercel.cached_view(["path"], namespace=lambda asked: asked.headers["X-User"])(
        lambda: counter.up()
    )
    client = serve(app, lambda given: given, view)

    def ask(user: str) -> str:
        return str(client.get("/page", headers={"X-User": user}).text)

    assert [ask("ann"), ask("bob"), ask("ann")] == ["1", "2", "1"]
    with app.app_context():
        view.drop_namespace("ann")
    assert [ask("ann"), ask("bob")] == ["3", "2"]


def test_cached_view_when_the_skip_attribute_is_on_g_then_the_cache_is_left_out(
    made: tuple[Flask, Tiercel], counter: Counter
) -> None:
    """`g.skip_cache`, set by a function that runs before the view."""
    app, tiercel = made

    @app.before_request
    def skip() -> None:
        from flask import g

        g.skip_cache = "preview" in request.args

    client = serve(app, tiercel.cached_view(["path"]), counter.up)
    texts = [client.get(path).text for path in ("/page", "/page?preview=1", "/page")]
    assert texts == ["1", "2", "1"]
