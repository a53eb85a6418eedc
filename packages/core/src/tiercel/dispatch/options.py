"""Checks of the options of dispatchers."""

from __future__ import annotations

import math

from tiercel.errors import ConfigurationError


def check_number(name: str, value: object, least: float) -> None:
    """Refuse an option of a dispatcher that is no number or too small.

    Args:
        name: The option.
        value: What was given for it.
        least: The least that works; if it is an integer, the option must be one, too.

    Raises:
        ConfigurationError: Names the option, its value and the least that works.
    """
    whole = isinstance(least, int)
    wanted = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not least <= value < math.inf:
        what = "an integer" if whole else "a number"
        raise ConfigurationError(f"{name} must be {what} of at least {least:g}, not {value!r}")


def check_text(name: str, value: object) -> None:
    """Refuse an option that is no text, or an empty one.

    Raises:
        ConfigurationError: Names the option and its value.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a text of at least one character, not {value!r}")


def check_integer(name: str, value: object) -> None:
    """Refuse an option that is no integer.

    Raises:
        ConfigurationError: Names the option and its value.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be an integer, not {value!r}")
