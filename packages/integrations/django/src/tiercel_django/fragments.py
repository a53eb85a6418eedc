"""Fragments of templates: how they are kept, and dropped by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tiercel import ArgsKeyField, KeyConstructor, cache_result
from tiercel_django.key_fields import LanguageKeyField, TimezoneKeyField

DEFAULT: Final = "default"


class FragmentKey(KeyConstructor):
    """A fragment by its name and what it varies with; in each language and time zone another."""

    fragment = ArgsKeyField("fragment", partition=True)
    vary = ArgsKeyField("vary", partition=True)
    language = LanguageKeyField()
    zone = TimezoneKeyField()


@dataclass(eq=False)
class Rendering:
    """One use of a fragment.

    Attributes:
        render: Renders it.
        is_private: Tells, once that is done, whether it is for this client only.
        life: Seconds, or a timedelta, that it is kept; None: for good.
        tags: By which it is dropped together with others.
    """

    render: Callable[[], str]
    is_private: Callable[[], bool]
    life: Any
    tags: Sequence[str]


@dataclass(frozen=True, eq=False)
class Private:
    """A fragment that is for the client only for whom it was rendered.

    Attributes:
        text: The fragment.
        rendering: What rendered it.
    """

    text: str
    rendering: Rendering


def fetch(cache: str, fragment: str, vary: Sequence[Any], rendering: Rendering) -> str:
    """Return a fragment from the cache of a name, rendering it if need be."""
    found = _fragments(cache)(fragment, tuple(vary), rendering)
    if not isinstance(found, Private):
        return str(found)
    return found.text if found.rendering is rendering else rendering.render()


def drop_fragment(fragment: str, *vary: Any, cache: str = DEFAULT) -> None:
    """Drop a fragment, in every language, at the cost of one write.

    Args:
        fragment: Its name in the templates.
        *vary: What it varies with, all of it, in order; nothing: whatever it varies with.
        cache: The name of the cache that it is kept in.

    Raises:
        UnkeyableValue: One of `vary` has no text that identifies it.
    """
    _fragments(cache).delete_by_prefix(fragment, *([tuple(vary)] if vary else []))


async def adrop_fragment(fragment: str, *vary: Any, cache: str = DEFAULT) -> None:
    """The twin of `drop_fragment`."""
    await _fragments(cache).adelete_by_prefix(fragment, *([tuple(vary)] if vary else []))


@cache
def _fragments(cache: str) -> Any:
    """Return the function whose entries are the fragments of one cache."""

    def fragment(fragment: str, vary: tuple[Any, ...], rendering: Rendering) -> Any:
        text = str.__str__(rendering.render())  # a plain text, which every tier takes
        return Private(text, rendering) if rendering.is_private() else text

    return cache_result(
        key_constructor=FragmentKey,
        cache=cache,
        ttl=lambda result, rendering: rendering.life,
        tags=lambda rendering: rendering.tags,
        cache_unless=lambda result: isinstance(result, Private),
        name="tiercel_django.fragments",
    )(fragment)
