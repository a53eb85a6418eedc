"""The tag `{% tiercel %}`."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, render_template_string
from jinja2 import TemplateSyntaxError

from packages.integrations.flask.tests.making import make_app
from tiercel import Cache
from tiercel.testing import VirtualClock
from tiercel_flask import Tiercel
from tiercel_flask.templates import fragments


class Shown:
    """Counts how often it is shown."""

    def __init__(self) -> None:
        self.count = 0

    def __str__(self) -> str:
        self.count += 1
        return f"<{self.count}>"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def made(clock: VirtualClock) -> tuple[Flask, Tiercel]:
    return make_app(clock)


def render(app: Flask, tag: str, shown: Shown, **values: Any) -> str:
    """Render what a tag encloses."""
    with app.app_context():
        source = f"{{% tiercel {tag} %}}{{{{ shown }}}}{{% endtiercel %}}"
        return render_template_string(source, shown=shown, **values)


def test_tag_when_rendered_again_then_its_part_is_kept_until_the_ttl(
    made: tuple[Flask, Tiercel], clock: VirtualClock
) -> None:
    """What it encloses is escaped once, and rendered once per ttl."""
    shown = Shown()
    found = [render(made[0], '50, "side"', shown) for _ in range(2)]
    assert found == ["&lt;1&gt;", "&lt;1&gt;"]
    clock.advance(51)
    assert render(made[0], '50, "side"', shown) == "&lt;2&gt;"


def test_tag_when_values_vary_then_parts_are_told_apart(made: tuple[Flask, Tiercel]) -> None:
    """Values keep their types and their borders."""
    shown = Shown()
    pairs: list[tuple[Any, Any]] = [("a_b", "c"), ("a", "b_c"), (1, "1"), ("1", 1), ("a_b", "c")]
    found = [render(made[0], 'None, "side", one, two', shown, one=a, two=b) for a, b in pairs]
    assert found == [f"&lt;{n}&gt;" for n in (1, 2, 3, 4, 1)]


def test_tag_when_its_name_or_a_value_is_dropped_then_it_is_rendered_anew(
    made: tuple[Flask, Tiercel],
) -> None:
    """All parts of a name at the cost of one write, or one of them."""
    app, tiercel = made
    shown = Shown()

    def numbers() -> list[str]:
        return [render(app, '50, "side", n', shown, n=n) for n in (1, 2)]

    assert numbers() == ["&lt;1&gt;", "&lt;2&gt;"]
    with app.app_context():
        tiercel.drop_fragments("side", 1)
        tiercel.drop_fragments("other")
    assert numbers() == ["&lt;3&gt;", "&lt;2&gt;"]
    with app.app_context():
        tiercel.drop_fragments("side")
    assert numbers() == ["&lt;4&gt;", "&lt;5&gt;"]


def test_tag_when_it_has_tags_then_they_drop_it(made: tuple[Flask, Tiercel]) -> None:
    """`tags=` are those of the cache."""
    app, tiercel = made
    shown = Shown()
    tag = '50, "side", tags=["product:%d" % n]'
    assert render(app, tag, shown, n=7) == "&lt;1&gt;"
    with app.app_context():
        tiercel.cache.drop_tags("product:8")
        assert render(app, tag, shown, n=7) == "&lt;1&gt;"
        tiercel.cache.drop_tags("product:7")
    assert render(app, tag, shown, n=7) == "&lt;2&gt;"


def test_tag_when_it_names_a_cache_then_that_keeps_it(clock: VirtualClock) -> None:
    """`cache=` names one of `TIERCEL_CACHES`."""
    parts = Cache(name="parts", clock=clock)
    app, tiercel = make_app(TIERCEL_CACHES={"parts": parts})
    shown = Shown()
    for _ in range(2):
        assert render(app, '50, "side", cache="parts"', shown) == "&lt;1&gt;"
    with app.app_context():
        tiercel.drop_fragments("side", cache="parts")
    assert render(app, '50, "side", cache="parts"', shown) == "&lt;2&gt;"
    fragments.cache_clear()  # no other application of these tests has such a cache


def test_tag_when_what_it_encloses_raises_then_nothing_is_kept(
    made: tuple[Flask, Tiercel],
) -> None:
    """The error is the template's own, and it is evaluated once."""
    shown = Shown()

    class Failing(Shown):
        def __str__(self) -> str:
            self.count += 1
            raise LookupError("on purpose")

    failing = Failing()
    with pytest.raises(LookupError, match="on purpose"):
        render(made[0], '50, "side"', failing)
    assert failing.count == 1
    assert render(made[0], '50, "side"', shown) == "&lt;1&gt;"


def test_tag_when_no_default_timeout_is_given_then_none_means_that_of_the_config(
    clock: VirtualClock,
) -> None:
    """`None` for the ttl is the application's default timeout."""
    app, _ = make_app(clock, TIERCEL_DEFAULT_TIMEOUT=10)
    shown = Shown()
    render(app, 'None, "side"', shown)
    clock.advance(11)
    assert render(app, 'None, "side"', shown) == "&lt;2&gt;"


@pytest.mark.parametrize(
    ("tag", "text"),
    [("50", "needs a ttl and a name"), ('50, "a", size=3', "has no size=; there are: tags, cache")],
)
def test_tag_when_it_is_wrong_then_the_template_is(
    made: tuple[Flask, Tiercel], tag: str, text: str
) -> None:
    """Mistakes are found when the template is compiled."""
    with pytest.raises(TemplateSyntaxError, match=text):
        render(made[0], tag, Shown())
