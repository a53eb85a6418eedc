"""What a task of django-q2 holds of ours: one text, with the message and how to repeat it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tiercel.spi import BadMessage, Message, Retries


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A message on its way through django-q2, which has no pauses between tries.

    Attributes:
        text: The message.
        name: What django-q2 calls the task in its tables and logs.
        attempt: Which try this is, from 1.
        max_retries: How often it may be repeated.
        min_backoff: Seconds before the first retry.
        max_backoff: Seconds before any retry, at most.
        group: Group of django-q2.
        save: Whether django-q2 keeps it when it has succeeded.
        timeout: Seconds that one try may take; None: as the cluster is configured.
    """

    text: str
    name: str
    attempt: int = 1
    max_retries: int
    min_backoff: float
    max_backoff: float
    group: str
    save: bool
    timeout: int | None

    @classmethod
    def of(cls, message: Message, retries: Retries, **options: Any) -> Self:
        """Return the order to perform a message for the first time."""
        return cls(
            text=message.text,
            name=f"{message.kind} of {message.function}"[:100],
            **asdict(retries),
            **options,
        )

    @classmethod
    def read(cls, given: str) -> Self:
        """Return the order that a text holds.

        Raises:
            BadMessage: It holds none, or of another version.
        """
        try:
            return cls(**json.loads(given))
        except (ValueError, TypeError, RecursionError) as error:
            raise BadMessage("a task of django-q2 holds no message of Tiercel") from error

    def write(self) -> str:
        """Return the order as text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @property
    def is_last(self) -> bool:
        """Whether it is given up if it fails once more."""
        return self.attempt > self.max_retries

    @property
    def pause(self) -> float:
        """Seconds to wait before the next try."""
        return Retries(self.max_retries, self.min_backoff, self.max_backoff).delay(self.attempt)

    def again(self) -> Self:
        """Return the order of the next try."""
        return replace(self, attempt=self.attempt + 1)

    def last(self) -> Self:
        """Return the order of a try that is not repeated."""
        return replace(self, attempt=self.max_retries + 1)

    def options(self) -> dict[str, Any]:
        """Return the options of django-q2.

        Only the last try counts as done when it fails; any other leaves a new order behind, and
        if it cannot even do that, a broker that knows receipts delivers the old one again.
        """
        options: dict[str, Any] = {
            "task_name": self.name,
            "group": self.group,
            "save": self.save,
            "ack_failure": self.is_last,
        }
        return options if self.timeout is None else {**options, "timeout": self.timeout}
