"""Types that are added to keys, proxies, and what the encoding never does."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.test_keys_encoding import MODULE, TEXT, Bare, User
from tiercel.contracts.key_field import StandsFor
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.encoding import Encoders


def test_text_asks_type_and_not_the_class_that_a_proxy_claims() -> None:
    """A proxy that lies about its class is not taken for what it stands for."""

    class Proxy:
        def __getattribute__(self, name: str) -> Any:
            return int if name == "__class__" else super().__getattribute__(name)

    with pytest.raises(UnkeyableValue, match="Proxy"):
        TEXT(Proxy())


def test_text_of_a_proxy_with_an_encoder_is_that_of_what_it_stands_for() -> None:
    """An integration can see through the lazy proxies of its framework."""
    encoders = Encoders({f"{MODULE}:Bare": lambda proxy: StandsFor(7)})
    assert encoders.text(Bare()) == encoders.text(7)


def test_text_never_asks_for_repr_or_hash() -> None:
    """Both may differ between processes."""

    class Shy(User):
        def __repr__(self) -> str:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    assert TEXT([Shy(1)]).endswith(".Shy(1)]")


def test_cache_key_that_raises_is_an_error_with_its_cause() -> None:
    """The exception of `__cache_key__` is kept as the cause."""
    broken = User(1)
    del broken.pk
    with pytest.raises(UnkeyableValue, match=r"raised AttributeError: .*'pk'") as caught:
        TEXT(broken)
    assert isinstance(caught.value.__cause__, AttributeError)


def test_encoders_apply_to_subclasses_and_write_the_exact_type() -> None:
    """The nearest registered base decides, and two classes never share a text."""

    class Child(Bare):
        pass

    encoders = Encoders({Bare: lambda value: 1})
    assert encoders.text(Bare()) == f"{MODULE}/Bare(1)"
    assert encoders.text(Child()).endswith("Child(1)")


def test_encoders_added_later_reach_values_and_the_sorting_variant() -> None:
    """Plugins may add types after the first keys were built."""
    encoders = Encoders()
    sorting = encoders.sorting_lists
    with pytest.raises(UnkeyableValue):
        sorting.text(Bare())
    encoders.add(Bare, lambda value: [2, 1])
    assert encoders.text(Bare()) == f"{MODULE}/Bare([2,1])"
    assert sorting.text(Bare()) == f"{MODULE}/Bare([1,2])"


@pytest.mark.parametrize("kind", [int, list, object, Bare])
def test_encoders_refuse_types_that_are_known(kind: type) -> None:
    """Nobody can change what the text of a known type means."""
    encoders = Encoders({Bare: lambda value: 1})
    with pytest.raises(ConfigurationError, match=f"keys know .*{kind.__name__} already"):
        encoders.add(kind, lambda value: 0)
