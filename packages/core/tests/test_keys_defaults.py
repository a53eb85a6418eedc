"""How keys are built where no key constructor says it: what an application is configured to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiercel import ArgsKeyField, Cache, ConfigurationError, KeyConstructor
from tiercel.keys.layout import set_key_defaults


class Plain(KeyConstructor):
    text = ArgsKeyField("text")


class Decided(KeyConstructor):
    text = ArgsKeyField("text")

    class Meta:
        """Options that win over the configured ones."""

        max_key_suffix_length = 200
        hash_suffix_on_overflow = False


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    yield
    set_key_defaults()


def _key(constructor: type[KeyConstructor]) -> str:
    @Cache().cached(key=constructor, name="f")
    def function(text: str) -> str:
        return text

    return str(function.get_cache_key("x" * 50))


def test_length_when_configured_then_longer_suffixes_become_digests() -> None:
    """The length counts only together with the switch, and a constructor may decide otherwise."""
    plain, decided = _key(Plain), _key(Decided)
    set_key_defaults(max_key_suffix_length=20)
    assert _key(Plain) == plain
    set_key_defaults(max_key_suffix_length=20, hash_suffix_on_overflow=True)
    assert "x" * 50 not in _key(Plain)
    assert _key(Decided) == decided


@pytest.mark.parametrize("algorithm", ["sha256", "sha3_512", "blake2s"])
def test_algorithm_when_configured_then_digests_differ_and_fit(algorithm: str) -> None:
    """Any algorithm of at least 256 bits makes digests of the same length."""
    set_key_defaults(max_key_suffix_length=20, hash_suffix_on_overflow=True)
    before = _key(Plain)
    set_key_defaults(
        hash_algorithm=algorithm, max_key_suffix_length=20, hash_suffix_on_overflow=True
    )
    assert _key(Plain) != before
    assert len(_key(Plain)) == len(before)


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [("md5", "128 bits"), ("sha1", "160 bits"), ("nonsense", "no hash algorithm 'nonsense'")],
)
def test_algorithm_when_too_weak_or_unknown_then_refused(algorithm: str, said: str) -> None:
    """Two keys must never meet, so short digests are no choice."""
    with pytest.raises(ConfigurationError, match=said):
        set_key_defaults(hash_algorithm=algorithm)


def test_length_when_not_positive_then_refused() -> None:
    """A length of nothing would hash every suffix by accident."""
    with pytest.raises(ConfigurationError, match="max_key_suffix_length"):
        set_key_defaults(max_key_suffix_length=0)
