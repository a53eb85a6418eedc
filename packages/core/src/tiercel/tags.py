"""Tags: names by which entries of any function are dropped together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from string import Formatter
from typing import Any
from uuid import UUID

from tiercel.contracts.backend import Scope
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.escape import escape
from tiercel.policy import accepting

TagsOf = Callable[..., Sequence[str]]
"""Called with a call's arguments, returns its tags."""

MAX_TAGS = 8
LONGEST = 120


def tags_of_calls(owner: str, tags: Any, signature: inspect.Signature) -> TagsOf | None:
    """Return what tells the tags of a call; None for a function without tags.

    Args:
        owner: Names the function in errors.
        tags: A sequence of texts, in which `{argument}` stands for an argument that is a str, an
            int or a UUID; or a callable that gets those arguments that it names.
        signature: The function's.

    Raises:
        ConfigurationError: Too many tags, or one that names no argument of the function.
    """
    if tags is None:
        return None
    if callable(tags):
        return _called(owner, accepting(owner, tags, signature, first=0))
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise ConfigurationError(f"{owner}: tags={tags!r} must be a sequence of texts")
    templates = [_parsed(owner, template, signature) for template in tags]
    if len(templates) > MAX_TAGS:
        raise ConfigurationError(f"{owner}: {len(templates)} tags; {MAX_TAGS} is the most")
    if not any(names for _, names in templates):
        plain = tuple(text for text, _ in templates)
        return lambda *args, **kwargs: plain

    def formatted(*args: Any, **kwargs: Any) -> Sequence[str]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [_fill(owner, text, names, bound.arguments) for text, names in templates]

    return formatted


def tag_scope(prefix: str, tag: Any) -> Scope:
    """Return the scope of a tag: entries that carry it may be anywhere.

    Raises:
        ConfigurationError: The tag is no text, or empty.
    """
    if not isinstance(tag, str) or not tag:
        raise ConfigurationError(f"a tag must be a text, not {tag!r}")
    text = escape(tag)
    if len(text) > LONGEST:
        text = blake2b(tag.encode(), digest_size=32).hexdigest()
    return Scope(f"{prefix}!tag:{text}")


def _called(owner: str, tags: Callable[..., Any]) -> TagsOf:
    def returned(*args: Any, **kwargs: Any) -> Sequence[str]:
        given = tags(*args, **kwargs)
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"{owner}: tags returned {given!r} where a sequence of texts is needed")
        return list(given)

    return returned


def _parsed(owner: str, template: Any, signature: inspect.Signature) -> tuple[str, list[str]]:
    if not isinstance(template, str) or not template:
        raise ConfigurationError(f"{owner}: a tag must be a text, not {template!r}")
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ConfigurationError(
            f"{owner}: tag {template!r} has a brace that names no argument: write it twice"
        ) from error
    for name in names:
        if name not in signature.parameters:
            known = ", ".join(signature.parameters) or "none"
            raise ConfigurationError(
                f"{owner}: tag {template!r} names {name!r}, which is no argument; "
                f"there are: {known}"
            )
    return template, names


def _fill(owner: str, template: str, names: list[str], arguments: Mapping[str, Any]) -> str:
    values = {name: arguments[name] for name in names}
    for name, value in values.items():
        if type(value) not in (str, int, UUID):
            raise UnkeyableValue(
                f"argument {name!r} of {owner} cannot be part of a tag: it is a "
                f"{type(value).__name__}; use a str, an int or a UUID, or tags=callable"
            )
    return template.format_map(values)
