"""The application: taxi rides in a database, and one question that is slow to answer."""

import os
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tiercel import ArgsKeyField, KeyConstructor, cache_result

CITIES = ("Lisbon", "Oslo", "Prague", "Turin")
DAYS = ("Friday", "Saturday", "Sunday")
RIDES_PER_DAY = 600

_TABLES = """
CREATE TABLE ride (city TEXT, day TEXT, started REAL, ended REAL);
CREATE INDEX ride_place ON ride (city, day);
CREATE TABLE computation (city TEXT, day TEXT, process INTEGER);
"""

# For every ride: how many were under way when it began? No index helps, so each is compared with
# all others of its day.
_PEAK = """
SELECT started, (
    SELECT count(*) FROM ride AS other
    WHERE other.city = ride.city AND other.day = ride.day
      AND other.started <= ride.started AND other.ended > ride.started
) AS under_way
FROM ride WHERE city = ? AND day = ? ORDER BY under_way DESC, started LIMIT 1
"""


@dataclass(frozen=True)
class Peak:
    """The busiest moment of a day: how many taxis it needs, and at which minute."""

    taxis: int
    minute: int


class CityKey(KeyConstructor):
    """Entries of one city are dropped together."""

    city = ArgsKeyField("city", partition=True)
    day = ArgsKeyField("day")


@cache_result(key_constructor=CityKey, ttl=600)
def taxis_needed(city: str, day: str) -> Peak:
    """Answer the slow question, and leave a row in the database that it was asked."""
    with closing(connect()) as db, db:
        db.execute("INSERT INTO computation VALUES (?, ?, ?)", (city, day, os.getpid()))
    return query(city, day)


def query(city: str, day: str) -> Peak:
    """Ask the database itself."""
    with closing(connect()) as db:
        started, under_way = db.execute(_PEAK, (city, day)).fetchone()
    return Peak(taxis=under_way, minute=int(started))


def computations() -> int:
    """Count how often the slow question was answered, by any process."""
    with closing(connect()) as db:
        count: int = db.execute("SELECT count(*) FROM computation").fetchone()[0]
    return count


def create(path: Path) -> int:
    """Make the database, the same each time, and return how many rides it holds."""
    use(path)
    chance = random.Random(7)
    rides = [
        (city, day, started, started + chance.uniform(5, 45))
        for city in CITIES
        for day in DAYS
        for started in (chance.gauss(18 * 60, 150) for _ in range(RIDES_PER_DAY))
    ]
    with closing(connect()) as db, db:
        db.executescript(_TABLES)
        db.execute("PRAGMA journal_mode = WAL")
        db.executemany("INSERT INTO ride VALUES (?, ?, ?, ?)", rides)
    return len(rides)


def add_concert(city: str, day: str, visitors: int = 80) -> None:
    """Add the rides home after a concert: they all begin at the same time."""
    late = 23 * 60.0
    rides = [(city, day, late, late + 30)] * visitors
    with closing(connect()) as db, db:
        db.executemany("INSERT INTO ride VALUES (?, ?, ?, ?)", rides)


def use(path: Path) -> None:
    """Say where the database of this process is."""
    os.environ["DEMO_DATABASE"] = str(path)


def connect() -> sqlite3.Connection:
    """Open the database."""
    return sqlite3.connect(os.environ["DEMO_DATABASE"], timeout=10)
