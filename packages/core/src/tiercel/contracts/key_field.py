"""The contract of key fields: declarative parts of a key, and what a plugin adds to keys.

The smallest field reads something and says what to call it:

    class TenantKeyField(KeyField):
        def parts(self, target: Target) -> Sequence[Part]:
            return [Part("tenant", extract=current_tenant)]
"""

from __future__ import annotations

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypedDict

from tiercel.contracts.integration import Encoder
from tiercel.errors import ConfigurationError


class Absent(Enum):
    """The type of `ABSENT`: a value that could have been there and is not; unlike None."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Part:
    """One named value of a key.

    Attributes:
        name: What stands before the value in the key's text.
        arguments: The parameters of the cached function that the value depends on.
        extract: Called with the values of `arguments`, in their order; what it returns is
            encoded. None: the value is the only argument itself.
        constant: The value, where it is the same for every call.
    """

    name: str
    arguments: tuple[str, ...] = ()
    extract: Callable[..., Any] | None = None
    constant: Any = ABSENT

    def __post_init__(self) -> None:
        if self.constant is ABSENT and self.extract is None and len(self.arguments) != 1:
            raise ConfigurationError(
                f"part {self.name!r} of a key has no value: "
                "give one argument, extract= or constant="
            )


@dataclass(frozen=True, slots=True)
class Target:
    """The function a key is built for, as a field sees it at decoration.

    Attributes:
        function: Its name, for messages.
        signature: Its signature, `self` included.
        attribute: The name of the field in its key constructor.
        owner: The name of that key constructor.
        request: Returns the framework's request that is being answered, where the function is a
            view; else None.
    """

    function: str
    signature: inspect.Signature
    attribute: str
    owner: str
    request: Callable[[], Any] | None = None

    def parameter(self, *kinds: inspect._ParameterKind) -> str | None:
        """The name of the first parameter of one of these kinds, or None."""
        parameters = self.signature.parameters.values()
        return next((each.name for each in parameters if each.kind in kinds), None)

    def require(self, name: str) -> None:
        """Check that the function has a parameter.

        Raises:
            ConfigurationError: It has none of this name; says which ones it has.
        """
        names = list(self.signature.parameters)
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'}"
            )
            raise ConfigurationError(
                f"key field {self.owner}.{self.attribute} names the argument {name!r}, "
                f"which {self.function} does not have; {hint}"
            )


class KeyFieldOptions(TypedDict, total=False):
    """The options that all key fields take; described at `KeyField`."""

    partition: bool
    hash_value: bool
    sort_lists: bool


class KeyField(ABC):
    """One declarative part of a key.

    Args:
        partition: Entries are dropped together by this field.
        hash_value: Only a digest of the value stands in the key, for personal data.
        sort_lists: Lists and tuples that hold the same items in another order are one value.
    """

    def __init__(
        self, *, partition: bool = False, hash_value: bool = False, sort_lists: bool = False
    ) -> None:
        options = {"partition": partition, "hash_value": hash_value, "sort_lists": sort_lists}
        for option, given in options.items():
            if not isinstance(given, bool):
                raise ConfigurationError(
                    f"{type(self).__name__}: {option} must be True or False, not {given!r}"
                )
        self.partition = partition
        self.hash_value = hash_value
        self.sort_lists = sort_lists

    @abstractmethod
    def parts(self, target: Target) -> Sequence[Part]:
        """Say which values of a call belong to its key; called once, at decoration.

        How many parts there are, and their names, must not depend on a call.

        Raises:
            ConfigurationError: The field does not fit the function.
        """


@dataclass(frozen=True, slots=True)
class StandsFor:
    """Returned by an encoder: encode `value` as if it had been passed itself; for lazy proxies."""

    value: Any


@dataclass(frozen=True, slots=True)
class KeyFieldSpec:
    """What a plugin returns from `tiercel_key_fields`.

    Attributes:
        name: What the field is called in configuration and messages.
        spi: The SPI version it was written for.
        factory: Called with the field's options, usually its class; None: only encoders.
        encoders: Types that may be part of keys from now on. A type, or its name as
            `module:qualname`, which imports nothing, to a function that turns an instance, or one
            of a subclass, into a value that is known already. The name of the instance's own
            type goes into the text as well. One that cannot be part of a key is refused with
            `UnkeyableValue(reason, fix)`: why, and what to do.
    """

    name: str
    spi: tuple[int, int]
    factory: Callable[..., KeyField] | None = None
    encoders: Mapping[type | str, Encoder] = field(default_factory=dict)
