"""The setting `TIERCEL`: what it may hold, and what it holds now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from django.conf import settings as django_settings

SETTING = "TIERCEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """The values of the setting, by their names in lower case.

    Attributes:
        caches: For each name a URL, or a dict of options with the URL under `url`.
        default_dispatcher: Where work runs that chooses no dispatcher itself.
        dispatcher_settings: Options of dispatchers, by their names. Besides its own ones each
            takes `RAISE_EXCEPTION`. Names may be written in capitals.
        dispatcher_raise_exception: Whether work of rules that fails raises; None: as each rule
            says.
        key_hash_algorithm: What digests in keys are made with: a name that `hashlib` knows.
        max_key_suffix_length: Characters that the last part of a key may have before it is
            replaced by its digest, where `hash_suffix_on_overflow` says so.
        hash_suffix_on_overflow: See there.
        autodiscover: Modules of each application that are imported when Django starts; True:
            `caches`.
        raw: Whether loading a fixture counts as a change.
        outbox: Whether what is to be dropped is written to the database together with the change.
        outbox_grace: Seconds that a process has to do itself what it has written there.
        outbox_interval: Seconds between two looks of every process at what others have left there;
            None: that is left to `manage.py tiercel relay`.
    """

    caches: Mapping[str, Any] = field(default_factory=dict)
    default_dispatcher: str | None = None
    dispatcher_settings: Mapping[str, Any] = field(default_factory=dict)
    dispatcher_raise_exception: bool | None = None
    key_hash_algorithm: str | None = None
    max_key_suffix_length: int | None = None
    hash_suffix_on_overflow: bool = False
    autodiscover: bool | tuple[str, ...] = True
    raw: bool = True
    outbox: bool = False
    outbox_grace: float = 5.0
    outbox_interval: float | None = None

    def dispatcher_options(self, name: str) -> dict[str, Any]:
        """Return the options of a dispatcher, without `RAISE_EXCEPTION`."""
        if not self.dispatcher_settings:
            return {}
        given = {
            key.lower(): value for key, value in self.dispatcher_settings.get(name, {}).items()
        }
        return {key: value for key, value in given.items() if key != "raise_exception"}

    def raises(self, name: str) -> bool | None:
        """Tell whether work that fails on a dispatcher raises; None: as its rule says."""
        for key, value in self.dispatcher_settings.get(name, {}).items():
            if key.lower() == "raise_exception" and value is not None:
                return bool(value)
        return self.dispatcher_raise_exception


class Problem(NamedTuple):
    """Something in the setting that cannot work.

    Attributes:
        number: Identifies what kind of thing is wrong: `tiercel.E001` is 1.
        text: What is wrong.
        hint: What to do.
    """

    number: int
    text: str
    hint: str


KNOWN = tuple(each.name.upper() for each in fields(Conf))

_current: Conf | None = None


def current() -> Conf:
    """Return what the setting holds; what cannot work is as if it were not there."""
    global _current
    if _current is None:
        _current = _read()
    return _current


def forget() -> None:
    """Read the setting anew when it is next asked for."""
    global _current
    _current = None


def problems() -> list[Problem]:
    """Say what is wrong with the setting."""
    given = _given()
    if not isinstance(given, Mapping):
        return [Problem(1, f"{SETTING} must be a dict, not {given!r}", "Write TIERCEL = {...}.")]
    return [*_unknown(given), *_wrong(given)]


def _given() -> Any:
    return getattr(django_settings, SETTING, {})


def _read() -> Conf:
    given = _given()
    if not isinstance(given, Mapping):
        return Conf()
    wrong = {problem.text.split()[0] for problem in _wrong(given)}
    names = {f"{SETTING}[{name!r}]": name for name in KNOWN if name in given}
    chosen = {name: given[name] for text, name in names.items() if text not in wrong}
    if isinstance(chosen.get("AUTODISCOVER"), list):
        chosen["AUTODISCOVER"] = tuple(chosen["AUTODISCOVER"])
    return Conf(**{name.lower(): value for name, value in chosen.items()})


def _unknown(given: Mapping[Any, Any]) -> Iterator[Problem]:
    for name in given:
        if name not in KNOWN:
            close = get_close_matches(str(name).upper(), KNOWN, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(KNOWN)}."
            yield Problem(1, f"{SETTING} has no key {name!r}", hint)


def _wrong(given: Mapping[Any, Any]) -> Iterator[Problem]:
    for name, (fits, expected) in _EXPECTED.items():
        if name in given and not fits(given[name]):
            text = f"{SETTING}[{name!r}] must be {expected}, not {given[name]!r}"
            yield Problem(2, text, "Correct it, or leave it out.")


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


def _is_options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(options, Mapping) and all(map(_is_text, options))
        for name, options in value.items()
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _is_positive(value: Any, *kinds: type) -> bool:
    return type(value) in (kinds or (int, float)) and value > 0


_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "CACHES": (
        lambda value: isinstance(value, Mapping) and all(map(_is_text, value)),
        "a dict of names to URLs or options",
    ),
    "DEFAULT_DISPATCHER": (_or_none(_is_text), "the name of a dispatcher"),
    "DISPATCHER_SETTINGS": (_is_options, "a dict of names of dispatchers to dicts of options"),
    "DISPATCHER_RAISE_EXCEPTION": (_or_none(_is_bool), "True, False or None"),
    "KEY_HASH_ALGORITHM": (_or_none(_is_text), "the name of a hash algorithm"),
    "MAX_KEY_SUFFIX_LENGTH": (
        _or_none(lambda value: _is_positive(value, int)),
        "a number of characters",
    ),
    "HASH_SUFFIX_ON_OVERFLOW": (_is_bool, "True or False"),
    "AUTODISCOVER": (
        lambda value: _is_bool(value) or _is_names(value),
        "True, False or names of modules",
    ),
    "RAW": (_is_bool, "True or False"),
    "OUTBOX": (_is_bool, "True or False"),
    "OUTBOX_GRACE": (_is_positive, "a number of seconds"),
    "OUTBOX_INTERVAL": (_or_none(_is_positive), "a number of seconds"),
}
