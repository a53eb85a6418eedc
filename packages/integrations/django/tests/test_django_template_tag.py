"""The tag `{% tiercel %}`: what is kept of a template, for whom, and how it is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.middleware.csrf import get_token
from django.template import Context, Engine, RequestContext, TemplateSyntaxError
from django.test import RequestFactory
from django.utils import timezone, translation

from tiercel import Cache, configure
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel_django.fragments import adrop_fragment, drop_fragment

ENGINE = Engine(
    libraries={"tiercel": "tiercel_django.templatetags.tiercel"},
    builtins=["django.templatetags.i18n"],
)


@pytest.fixture(params=["memory", "shared"])
def caches(
    request: pytest.FixtureRequest, virtual_clock: VirtualClock
) -> Iterator[dict[str, Cache]]:
    """A default cache and another, whose clock stands still, on either tier."""
    made = {}
    for name in ("default", "pages"):
        options: dict[str, Any] = {"clock": virtual_clock, "name": name}
        if request.param == "shared":
            options |= {"backend": SimulatedBackend(virtual_clock), "memory": 0}
        made[name] = Cache(**options)
    configure(**made)
    yield made
    configure()


class Counting:
    """Counts how often a template asks for it."""

    def __init__(self) -> None:
        self.calls = 0

    def __str__(self) -> str:
        self.calls += 1
        return str(self.calls)


def render(arguments: str, context: dict[str, Any] | None = None, body: str = "{{ n }}") -> str:
    """Render one fragment."""
    source = f"{{% load tiercel %}}{{% tiercel {arguments} %}}{body}{{% endtiercel %}}"
    return str(ENGINE.from_string(source).render(Context(context or {})))


@pytest.mark.usefixtures("caches")
def test_fragment_when_it_was_rendered_then_it_is_not_rendered_again() -> None:
    """Until it ends; and what was escaped stays as it is."""
    n = Counting()
    body = "{{ n }} {{ text }}"
    context = {"n": n, "text": "<b>"}
    assert [render("60 sidebar", context, body) for _ in range(2)] == ["1 &lt;b&gt;"] * 2
    assert n.calls == 1


@pytest.mark.parametrize("ttl", ["10", "ttl", "'10'"])
@pytest.mark.usefixtures("caches")
def test_fragment_when_its_ttl_is_over_then_it_is_rendered(
    ttl: str, virtual_clock: VirtualClock
) -> None:
    """Seconds or a timedelta; None is for good."""
    context: dict[str, Any] = {"n": Counting(), "ttl": timedelta(seconds=10)}
    for seconds, text in ((0, "1"), (9, "1"), (2, "2")):
        virtual_clock.advance(seconds)
        assert render(f"{ttl} sidebar", context) == text
    assert render("None endless", context) == "3"
    virtual_clock.advance(10**8)
    assert render("None endless", context) == "3"


@pytest.mark.usefixtures("caches")
def test_fragment_when_it_varies_then_each_version_is_kept() -> None:
    """Arguments are told apart with their types, names with or without quotes are the same."""
    n = Counting()
    texts = [render("60 sidebar who", {"n": n, "who": who}) for who in (1, "1", None, [1], 1)]
    assert texts == ["1", "2", "3", "4", "1"]
    assert render('60 "sidebar" who', {"n": n, "who": 1}) == "1"
    assert render("60 sidebar who|upper", {"n": n, "who": "a"}) == "5"
    assert render("60 other who", {"n": n, "who": 1}) == "6"


@pytest.mark.usefixtures("caches")
def test_fragment_when_language_or_zone_differ_then_it_is_another() -> None:
    """What was translated for one reader is not shown to another."""
    n = Counting()
    with translation.override("de"):
        assert render("60 sidebar", {"n": n}) == "1"
    with translation.override("fr"):
        assert render("60 sidebar", {"n": n}) == "2"
        with timezone.override("Asia/Tokyo"):
            assert render("60 sidebar", {"n": n}) == "3"
    with translation.override("de"):
        assert render("60 sidebar", {"n": n}) == "1"
        drop_fragment("sidebar")
    with translation.override("fr"):
        assert render("60 sidebar", {"n": n}) == "4"


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.usefixtures("caches")
def test_fragment_when_it_is_dropped_then_it_is_rendered(awaited: bool) -> None:
    """One version, or all of a name; others stay."""
    n, drop = Counting(), async_to_sync(adrop_fragment) if awaited else drop_fragment

    def both() -> list[str]:
        return [render("60 sidebar who", {"n": n, "who": who}) for who in (1, 2)]

    assert both() == ["1", "2"]
    drop("sidebar", 2)
    assert both() == ["1", "3"]
    drop("sidebar")
    assert both() == ["4", "5"]


def test_fragment_when_it_has_tags_and_a_cache_then_they_are_used(caches: dict[str, Cache]) -> None:
    """Tags are a text or a list; the other cache knows nothing of it."""
    n = Counting()
    uses = ("60 sidebar cache='pages' tags='news'", "60 list 1 cache='pages' tags=tags")
    context = {"n": n, "tags": ["news", "sport"]}
    assert [render(use, context) for use in uses * 2] == ["1", "2", "1", "2"]
    caches["pages"].drop_tags("sport")
    assert [render(use, context) for use in uses] == ["1", "3"]
    caches["default"].drop_tags("news")
    drop_fragment("sidebar")
    assert render(uses[0], context) == "1"
    drop_fragment("sidebar", cache="pages")
    assert render(uses[0], context) == "4"


@pytest.mark.usefixtures("caches")
def test_fragment_when_it_uses_the_csrf_token_then_it_is_not_kept() -> None:
    """A token of one client in the form of another would lock that one out."""
    source = (
        "{% csrf_token %}{% load tiercel %}{% tiercel 60 form %}{{ n }}{% csrf_token %}"
        "{% endtiercel %}{% tiercel 60 plain %}{{ n }}{% endtiercel %}"
    )
    template, n = ENGINE.from_string(source), Counting()
    tokens = set()
    for number in range(2):
        request = RequestFactory().get("/")
        tokens.add(get_token(request))
        text = template.render(RequestContext(request, {"n": n}))
        assert text.count("csrfmiddlewaretoken") == 2
        assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]
        assert text.endswith("2"), f"only the other one is kept: {text}, {number}"
    assert n.calls == 3


@pytest.mark.usefixtures("caches")
def test_fragment_when_it_is_private_then_who_waits_for_it_gets_another() -> None:
    """Two clients who ask at the same moment do not share one token."""
    source = "{% load tiercel %}{% tiercel 60 form %}{{ wait }}{% csrf_token %}{% endtiercel %}"
    template, together = ENGINE.from_string(source), threading.Barrier(2)

    class Waiting:
        def __str__(self) -> str:
            threading.Event().wait(0.05)
            return ""

    def ask(_: int) -> str:
        request = RequestFactory().get("/")
        get_token(request)
        together.wait(60)
        text = template.render(RequestContext(request, {"wait": Waiting()}))
        return str(text) if request.META["CSRF_COOKIE"] else ""

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(ask, range(2))
    assert one != other


@pytest.mark.usefixtures("caches")
def test_fragments_when_one_is_inside_another_then_each_is_kept() -> None:
    """The inner one outlives the outer one."""
    n = Counting()
    body = "{{ n }}{% tiercel 60 inner %}{{ n }}{% endtiercel %}"
    assert [render("60 outer", {"n": n}, body) for _ in range(2)] == ["12", "12"]
    drop_fragment("outer")
    assert render("60 outer", {"n": n}, body) == "32"


@pytest.mark.usefixtures("caches")
def test_fragment_when_rendering_fails_then_nothing_is_kept() -> None:
    """What a template raises is raised, and the next one tries again."""

    class Failing:
        calls = 0

        def __str__(self) -> str:
            self.calls += 1
            if self.calls == 1:
                raise LookupError("on purpose")
            return "fine"

    n = Failing()
    with pytest.raises(LookupError):
        render("60 sidebar", {"n": n})
    assert render("60 sidebar", {"n": n}) == "fine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "needs a ttl and the name"),
        ("60", "needs a ttl and the name"),
        ("60 sidebar using='x'", "no option 'using'"),
        ("later sidebar", "must be seconds"),
    ],
)
@pytest.mark.usefixtures("caches")
def test_tag_when_it_is_written_wrongly_then_it_says_so(arguments: str, message: str) -> None:
    """As early as the template can tell."""
    with pytest.raises(TemplateSyntaxError, match=message):
        render(arguments, {"later": "soon"})
