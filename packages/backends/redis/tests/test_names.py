"""Names and packed bytes: what must be the same in every process, and what must not meet."""

from __future__ import annotations

import hiredis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiercel_redis.names import CHANNELS, SLOTS, TAGS, Names
from tiercel_redis.resp import FOREVER, milliseconds, pack

ARGUMENTS = st.lists(st.one_of(st.binary(), st.text("abc\r\n$*ä"), st.integers()), min_size=1)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@patient
@given(ARGUMENTS)
def test_pack_when_given_anything_then_a_server_reads_the_same(arguments: list[object]) -> None:
    """Packed commands are arrays of bulk strings, whatever bytes they hold."""
    reader = hiredis.Reader()
    reader.feed(pack(*arguments))  # type: ignore[arg-type]
    expected = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    assert reader.gets() == expected
    assert reader.gets() is False


@patient
@given(st.floats(min_value=0, allow_nan=False))
def test_milliseconds_when_given_any_life_then_redis_accepts_them(seconds: float) -> None:
    """Never zero, which Redis refuses, never beyond what it can add to its clock."""
    assert 1 <= milliseconds(seconds) <= FOREVER


@patient
@given(st.text())
def test_tag_when_spread_then_it_is_one_of_sixteen(spread: str) -> None:
    """Every spread has a tag; where nothing is spread it is the first."""
    assert Names("p", spread=True).tag(spread) in range(TAGS)
    assert Names("p", spread=False).tag(spread) == 0


def test_tag_when_the_process_changes_then_it_stays() -> None:
    """Tags and slots are part of the stored format; these values must never change."""
    names = Names("p", spread=True)
    assert [names.tag(text) for text in ("", "a", "user-1", "ü")] == [0, 3, 4, 5]
    assert names.stream(7) == "{07}p!stream"
    assert CHANNELS[0] == "00"
    assert SLOTS[:4] == (13254, 9191, 4996, 933)
