"""The tag `{% tiercel %}`, which keeps what is rendered in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.template import Context, Library, Node, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString, mark_safe

from tiercel_django.fragments import DEFAULT, Rendering, fetch

register = Library()

_CSRF: Final = "CSRF_COOKIE_NEEDS_UPDATE"
_OPTIONS: Final = ("cache", "tags")


class FragmentNode(Node):
    """What stands between the tags.

    Attributes:
        nodelist: The contents.
        ttl: How long they are kept.
        fragment: The name of the fragment.
        vary: What tells its versions apart.
        options: `cache` and `tags`, as far as they are given.
    """

    def __init__(
        self,
        nodelist: NodeList,
        ttl: FilterExpression,
        fragment: str,
        vary: list[FilterExpression],
        options: dict[str, FilterExpression],
    ) -> None:
        self.nodelist = nodelist
        self.ttl = ttl
        self.fragment = fragment
        self.vary = vary
        self.options = options

    def render(self, context: Context) -> SafeString:
        """Return the contents, as they are kept or new."""
        uses = _CsrfUse(context)
        rendering = Rendering(
            lambda: uses.watch(lambda: self.nodelist.render(context)),
            lambda: uses.found,
            _life(self.ttl.resolve(context)),
            self._tags(context),
        )
        cache = self.options["cache"].resolve(context) if "cache" in self.options else DEFAULT
        vary = [each.resolve(context) for each in self.vary]
        return mark_safe(fetch(str.__str__(cache), self.fragment, vary, rendering))

    def _tags(self, context: Context) -> list[str]:
        given = self.options["tags"].resolve(context) if "tags" in self.options else ()
        return [given] if isinstance(given, str) else list(given)


class _CsrfUse:
    """Notices whether a token against forged requests is used while something is rendered.

    A request says whether its token was used, but not when; and the token in a context is made
    only once. So both are put aside meanwhile.
    """

    def __init__(self, context: Context) -> None:
        request = getattr(context, "request", None) or context.get("request")
        self._meta = getattr(request, "META", {})
        self._context = context
        self._token = context.get("csrf_token")
        self.found = False

    def watch(self, render: Callable[[], str]) -> str:
        before = self._meta.pop(_CSRF, None)
        try:
            with self._context.push(csrf_token=SimpleLazyObject(self._use)):
                return render()
        finally:
            self.found = self.found or bool(self._meta.get(_CSRF))
            if before is not None:
                self._meta[_CSRF] = before

    def _use(self) -> str:
        self.found = self._token is not None
        return "" if self._token is None else str(self._token)


@register.tag("tiercel")
def do_tiercel(parser: Parser, token: Token) -> FragmentNode:
    """Keep what is rendered between the tags.

    ::

        {% load tiercel %}
        {% tiercel 500 sidebar request.user.pk cache="pages" tags=tags %} ... {% endtiercel %}

    The first argument is the ttl in seconds, or a timedelta; None: for good. The second is the
    name of the fragment. Then come expressions that tell its versions apart; the language and
    the time zone do so anyway. `cache` is the name of a cache of Tiercel, `tags` a text or a list.
    What uses the CSRF token is not kept.
    """
    nodelist = parser.parse(("endtiercel",))
    parser.delete_first_token()
    _, *given = token.split_contents()
    if len(given) < 2:
        raise TemplateSyntaxError("{% tiercel %} needs a ttl and the name of the fragment")
    ttl, fragment, *rest = given
    vary, options = [], {}
    for each in rest:
        name, equals, value = each.partition("=")
        if equals and name.isidentifier():
            if name not in _OPTIONS:
                raise TemplateSyntaxError(
                    f"{{% tiercel %}} has no option {name!r}: known are {', '.join(_OPTIONS)}"
                )
            options[name] = parser.compile_filter(value)
        else:
            vary.append(parser.compile_filter(each))
    return FragmentNode(nodelist, parser.compile_filter(ttl), fragment.strip("\"'"), vary, options)


def _life(given: Any) -> Any:
    if given is None or isinstance(given, timedelta):
        return given
    try:
        return float(given)
    except (TypeError, ValueError):
        raise TemplateSyntaxError(
            f"{{% tiercel %}}: the ttl must be seconds, a timedelta or None, not {given!r}"
        ) from None
