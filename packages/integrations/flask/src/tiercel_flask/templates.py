"""`{% tiercel %}`: keeps a part of a template.

{% tiercel 300, "sidebar", user.id %}
  ...
{% endtiercel %}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache as remembered
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

from tiercel import ArgsKeyField, KeyConstructor, cache_result
from tiercel_flask.state import current_state

_OPTIONS = ("tags", "cache")


class FragmentKey(KeyConstructor):
    """The key of a part of a template: its name, by which parts are dropped, and what it shows."""

    name = ArgsKeyField("name", partition=True)
    vary = ArgsKeyField("vary")


class TiercelExtension(Extension):
    """The tag `{% tiercel ttl, name, vary..., tags=[...], cache="..." %}`.

    The ttl is seconds, or None for the application's default timeout. Values after the name tell
    parts of one name apart; they may be whatever keys know. `tags` are dropped by
    `Cache.drop_tags`; `cache` is the name of a cache.
    """

    tags = {"tiercel"}  # noqa: RUF012 (Jinja declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        """Make of the tag a call of `_kept` with what it encloses as its caller."""
        line = next(parser.stream).lineno
        given, options = _arguments(parser)
        if len(given) < 2:
            parser.fail('{% tiercel %} needs a ttl and a name: {% tiercel 300, "sidebar" %}', line)
        body = parser.parse_statements(("name:endtiercel",), drop_needle=True)
        call = self.call_method("_kept", [*given[:2], nodes.List(given[2:]), *options], lineno=line)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _kept(
        self,
        ttl: float | None,
        name: str,
        vary: Sequence[Any],
        tags: Collection[str],
        cache: str | None,
        caller: Callable[[], str],
    ) -> Markup:
        life = current_state().default_timeout if ttl is None else ttl
        shown = fragments(cache)(name, tuple(vary), lambda: str(caller()), life, tuple(tags))
        return Markup(shown)  # what a template rendered is escaped already


@remembered
def fragments(cache: str | None) -> Any:
    """Return the cached function that renders parts of templates."""

    def render(
        name: str, vary: Sequence[Any], body: Callable[[], str], life: float | None, tags: Any
    ) -> str:
        return body()

    return cache_result(
        cache=cache,
        key=FragmentKey,
        ttl=lambda result, life: life,
        tags=lambda tags: tags,
        name=f"tiercel_flask:fragment.{cache or 'default'}",
    )(render)


def drop_fragments(name: str, vary: Sequence[Any], cache: str | None) -> None:
    """Drop the parts of a name, or the one that was made for some values."""
    kept: Any = fragments(cache)
    if vary:
        kept.delete_cache(name, tuple(vary), str, None, ())
    else:
        kept.cached_function.here().drop_partition(name, (), str, None, ())


def _arguments(parser: Parser) -> tuple[list[nodes.Expr], list[nodes.Expr]]:
    """Parse what stands in the tag: values, and then options by name."""
    given: list[nodes.Expr] = []
    named: dict[str, nodes.Expr] = {"tags": nodes.Tuple([], "load"), "cache": nodes.Const(None)}
    stream = parser.stream
    while not stream.current.test("block_end"):
        if given:
            stream.expect("comma")
        if stream.current.type == "name" and stream.look().test("assign"):
            token = stream.expect("name")
            if token.value not in _OPTIONS:
                known = ", ".join(_OPTIONS)
                parser.fail(
                    f"{{% tiercel %}} has no {token.value}=; there are: {known}", token.lineno
                )
            stream.expect("assign")
            named[token.value] = parser.parse_expression()
        else:
            given.append(parser.parse_expression())
    return given, [named[name] for name in _OPTIONS]
