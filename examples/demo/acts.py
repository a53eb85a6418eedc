"""The acts of the demo. Each shows something, then checks that it was true."""

from __future__ import annotations

import functools
import random
import statistics
import time
from collections.abc import Sequence

import rides
from crew import Crew, Question, Report
from rides import CITIES, DAYS, Peak
from screen import Screen

from tiercel.testing.servers import RedisServer

PATIENCE = 60.0
"""Seconds that a busy machine gets for what takes less than two."""

THREADS = 5
EVERYTHING: list[Question] = [(city, day) for city in CITIES for day in DAYS]


def share(screen: Screen, crew: Crew) -> None:
    """Everybody asks for the same numbers."""
    screen.heading(
        "1. Computed once, used by all.",
        f"{len(crew)} processes ask the same {len(EVERYTHING)} slow questions, twice each.",
    )
    before = rides.computations()
    reports = screen.calls(crew.ask(_shuffled(len(crew), rounds=2), screen.pause))
    made = rides.computations() - before
    misses = [each.took for each in reports if each.status == "MISS"]
    hits = [each.took for each in reports if each.tier == "memory"]
    screen.claim(
        f"{len(reports)} calls, {made} computations: one for each question",
        made == len(EVERYTHING),
    )
    _claim_right(screen, reports)
    if misses and hits:
        screen.say(
            f"a computation took {_milliseconds(misses)}, a hit in memory {_milliseconds(hits)}"
        )


def drop_one_city(screen: Screen, crew: Crew, max_lag: float) -> None:
    """Something changes in one city, and only its entries go."""
    question, city = ("Lisbon", "Saturday"), "Lisbon"
    screen.heading(
        "2. A change drops one partition.",
        "A concert in Lisbon: this process adds its rides to the database and drops Lisbon.",
    )
    before = rides.computations()
    _change_while_watched(screen, crew, question, max_lag)
    reports = screen.calls(crew.ask(_shuffled(len(crew), rounds=1), screen.pause))
    others = [each for each in reports if each.question[0] != city]
    made = rides.computations() - before
    screen.claim(
        f"the {len(others)} calls for the other cities were all hits",
        all(each.status == "HIT" for each in others),
    )
    screen.claim(
        f"{made} computations: one for each day of Lisbon, whoever asked first",
        made == len(DAYS),
    )
    _claim_right(screen, reports)


def _change_while_watched(screen: Screen, crew: Crew, question: Question, max_lag: float) -> None:
    """Change the database and drop, while all processes keep asking."""
    old = _truth(question)
    watching = crew.watch(question, old, until=time.monotonic() + PATIENCE)
    time.sleep(0.3)  # so that all have it in memory by now
    rides.add_concert(*question)
    _truth.cache_clear()
    rides.taxis_needed.delete_by_prefix(city=question[0])
    dropped = time.monotonic()
    watched = list(watching)
    new = _truth(question)
    before = [each for each in watched if each.value == old]
    holding = {each.process for each in before if each.tier == "memory"}
    late = max([0.0, *(each.began - dropped for each in before)])
    screen.say(f"taxis needed in Lisbon on Saturday: {old.taxis} before, {new.taxis} now")
    screen.say(f"{len(holding)} other processes had the old answer in memory")
    screen.claim(
        f"{late * 1000:.0f} ms after the drop none of them gave it any more; "
        f"promised are {max_lag * 1000:.0f} ms",
        late <= max_lag and {each.process for each in watched if each.value == new} == crew.numbers,
    )


def race(screen: Screen, crew: Crew, max_lag: float) -> None:
    """Many callers want what nobody has yet."""
    question = ("Oslo", "Friday")
    screen.heading(
        "3. One computation, however many wait for it.",
        f"{len(crew) * THREADS} threads in {len(crew)} processes ask for a dropped number at once.",
    )
    rides.taxis_needed.delete_cache(*question)
    time.sleep(max_lag)  # until no memory may hold it any more
    before = rides.computations()
    reports = screen.calls(crew.race(question, THREADS))
    made = rides.computations() - before
    begins = [each.began for each in reports]
    screen.say(f"they all came within {(max(begins) - min(begins)) * 1000:.0f} ms")
    screen.claim(f"{len(reports)} callers, {made} computation", made == 1)
    _claim_right(screen, reports)


def lose_redis(screen: Screen, crew: Crew, server: RedisServer, max_lag: float) -> None:
    """The server dies and comes back, empty."""
    screen.heading(
        "4. Redis dies.", "Its process is killed, and everybody goes on asking; then it is back."
    )
    server.kill()
    time.sleep(max_lag + 0.1)  # until no memory can vouch for what it holds
    asked = [EVERYTHING[:3] for _ in range(len(crew))]
    reports = screen.calls(crew.ask(asked, screen.pause))
    screen.claim("no caller saw an error", all(each.status != "ERROR" for each in reports))
    _claim_right(screen, reports)
    server.start()
    _await_sharing(crew, max_lag)
    before = rides.computations()
    reports = list(crew.ask(_shuffled(len(crew), rounds=2)))
    made = rides.computations() - before
    screen.say("Redis runs again, and has forgotten everything:")
    screen.claim(
        f"{len(reports)} calls, {made} computations: what one process computes, all have again",
        made <= len(EVERYTHING),
    )
    _claim_right(screen, reports)


def _await_sharing(crew: Crew, max_lag: float) -> None:
    """Ask until each process is served what others have computed: all have tried Redis again.

    What Redis did not take is kept in memory for `max_lag` at most.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(max_lag + 0.1)
        reports = crew.ask([EVERYTHING[:1]] * len(crew))
        if [each.status for each in reports] == ["HIT"] * len(crew):
            return


def _shuffled(processes: int, rounds: int) -> list[list[Question]]:
    """Every question for each process, `rounds` times, in an order of its own."""
    chance = random.Random(11)
    return [
        [question for _ in range(rounds) for question in chance.sample(EVERYTHING, len(EVERYTHING))]
        for _ in range(processes)
    ]


@functools.cache
def _truth(question: Question) -> Peak:
    """Ask the database itself, once until it changes."""
    return rides.query(*question)


def _claim_right(screen: Screen, reports: Sequence[Report]) -> None:
    right = all(each.value == _truth(each.question) for each in reports)
    screen.claim("every answer is what the database says now", right)


def _milliseconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times) * 1000:.3g} ms"
