"""Work as text: what an outbox keeps, and a relay carries out."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from packages.core.tests.ruled import Surroundings, listen, live, save
from packages.core.tests.stages import Stage
from tiercel.spi import BadMessage, Work, carry_out

pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture
def stage(around: Surroundings) -> Iterator[Stage]:
    """A shared tier without memory, made among the plugins of the test."""
    made = Stage("shared")
    yield made
    made.close()


def test_work_when_stored_then_a_relay_can_carry_it_out(around: Surroundings, stage: Stage) -> None:
    """The text says everything; equal works of it are one."""
    function = listen(stage, name="tests:relayed")
    texts = [work.to_json() for work in save(1, 2, 1)]
    works = [Work.from_json(text) for text in texts]
    assert works[0] == works[2] != works[1]
    around.recorder.operations.clear()
    assert carry_out(works) == ()
    assert live(function) == [3, 4, 5]
    assert [scopes for _, _, scopes in around.recorder.drops()] == [2]


def test_work_when_its_function_is_unknown_then_it_is_given_back(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Loudly, and the rest is done."""
    function = listen(stage, name="tests:known")
    (work,) = save(1)
    unknown = Work.from_json(work.to_json().replace("tests:known", "tests:unknown"))
    with caplog.at_level(logging.ERROR):
        assert carry_out([unknown, work]) == (unknown,)
    assert live(function) == [2, 3, 4, 5]
    assert "this process has no function tests:unknown" in caplog.text


NAMES = '"v":1,"cache":"a","rule":"r"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"v": 2}',
        '{"v": 1}',
        f'{{{NAMES},"function":1,"targets":[]}}',
        f'{{{NAMES},"function":"f","targets":[{{"reach":"x"}}]}}',
        f'{{{NAMES},"function":"f","targets":[{{"reach":"entry","text":1,"spread":null}}]}}',
        f'{{{NAMES},"function":"f","targets":[],"row":{{}}}}',
        "[" * 100_000,
    ],
)
def test_work_when_its_text_is_damaged_then_refused(text: str) -> None:
    """Whatever an outbox or a broker holds."""
    with pytest.raises(BadMessage):
        Work.from_json(text)
