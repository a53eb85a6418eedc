"""Which rules there are, and which of them a change concerns."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from tiercel.invalidation.bound import BoundRule

log = logging.getLogger("tiercel.invalidation")

Refs = tuple["ref[BoundRule]", ...]


class Listed(NamedTuple):
    """One rule, for people to read.

    Attributes:
        function: The name of the function.
        rule: The name of the rule.
        model: The label of its source.
        drops: What a change drops: `function`, `partition`, `entry`; or the invalidator's name.
    """

    function: str
    rule: str
    model: str
    drops: str


class _Found:
    """The rules on each source that a change was reported of, as they were found."""

    def __init__(self) -> None:
        self.by_class: WeakKeyDictionary[Any, Refs] = WeakKeyDictionary()
        self.by_text: dict[str, Refs] = {}


class RuleRegistry:
    """Keeps rules for as long as their functions live; asked at each change of anything."""

    def __init__(self) -> None:
        self._serial = count()
        self._all: dict[int, ref[BoundRule]] = {}
        self._found = _Found()

    def add(self, rules: Iterable[BoundRule]) -> None:
        """Let rules take part from now on."""
        for rule in rules:
            number = next(self._serial)
            self._all[number] = ref(rule, partial(self._remove, number))
        # A search that began before keeps what it finds in the former object, which nobody reads.
        self._found = _Found()

    def _remove(self, number: int, gone: ref[BoundRule]) -> None:
        self._all.pop(number, None)
        self._found = _Found()

    def of(self, changed: Any) -> list[BoundRule]:
        """Return the rules that listen to a source, in the order of decoration."""
        found = self._found
        known: Mapping[Any, Refs] = found.by_text if isinstance(changed, str) else found.by_class
        try:
            refs = known.get(changed)
        except TypeError:  # nothing that rules can name
            return []
        if refs is None:
            refs = tuple(ref(rule) for rule in self.all() if _covers(rule, changed))
            if refs and isinstance(changed, str):
                found.by_text[changed] = refs
            elif isinstance(changed, type):
                found.by_class[changed] = refs
        return [rule for rule in (each() for each in refs) if rule is not None]

    def all(self) -> list[BoundRule]:
        """Return all rules, in the order of decoration."""
        living = (each() for each in list(self._all.values()))
        return [rule for rule in living if rule is not None]


def _covers(rule: BoundRule, changed: Any) -> bool:
    try:
        return rule.source.covers(changed)
    except Exception:
        log.exception("%s cannot tell whether it listens to %r", rule, changed)
        return False


_registry = RuleRegistry()


def register_rules(rules: Iterable[BoundRule]) -> None:
    """Let the rules of a function take part."""
    _registry.add(rules)


def rules_for(changed: Any) -> list[BoundRule]:
    """Return the rules that a change of this source concerns."""
    return _registry.of(changed)


def has_rules(changed: Any) -> bool:
    """Tell whether anything listens to a source; costs little where nothing does."""
    return bool(_registry.of(changed))


def all_rules() -> list[BoundRule]:
    """Return the rules of all living functions."""
    return _registry.all()


def rules() -> list[Listed]:
    """Return every rule of this process, for people to read."""
    listed = []
    for rule in _registry.all():
        function = rule.function
        if function is not None:
            listed.append(Listed(function.name, rule.name, rule.source.label, rule.drops))
    return listed
