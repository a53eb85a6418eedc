"""The actor that a worker runs, and the queues that it is to look at."""

from __future__ import annotations

import threading

import dramatiq

from tiercel.spi import BadMessage, perform_message
from tiercel_dramatiq.brokers import check_ability, find_broker

NAME = "tiercel"
"""Name of the one actor: a message says itself which queue it belongs to, and how it is retried.

Were there one actor for each queue or priority, a worker that does not know one yet would give a
message to the dead letters at once.
"""

DEFAULT_QUEUE = "default"
"""What Dramatiq calls the queue of actors that name none."""

_lock = threading.Lock()
_wanted: dict[str, None] = {}
_installed: list[dramatiq.Broker] = []


def perform(text: str) -> None:
    """Perform the task that `text` describes; Dramatiq retries it if it fails."""
    perform_message(text)


def declare(broker: dramatiq.Broker, queue: str) -> None:
    """Declare the actor and a queue; nothing is sent to the server.

    Raises:
        ValueError: Dramatiq allows no queue of this name.
    """
    with _lock:
        if NAME not in broker.actors:
            declared = dramatiq.actor(
                actor_name=NAME, queue_name=queue, broker=broker, throws=(BadMessage,)
            )
            declared(perform)
        broker.declare_queue(queue)


def want(queue: str) -> None:
    """Note that dispatchers of this process use a queue: workers with the same code serve it."""
    _wanted[queue] = None
    for broker in _installed:
        declare(broker, queue)


def install(broker: dramatiq.Broker | None = None, *queues: str) -> None:
    """Make the workers of a broker perform tasks of Tiercel.

    They look at the queues given here, at those that dispatchers of this process use, also later
    ones, and at `default`.

    Args:
        broker: Where the workers get their messages; None: the global broker.
        *queues: More queues.

    Raises:
        ConfigurationError: There is no broker, or it would lose tasks that are to be retried.
    """
    found = find_broker(broker)
    check_ability(found)
    _installed.append(found)
    for queue in (DEFAULT_QUEUE, *_wanted, *queues):
        declare(found, queue)
