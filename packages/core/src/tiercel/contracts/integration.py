"""The contract of integrations: plugins that teach Tiercel a framework."""

from __future__ import annotations

import asyncio
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from tiercel.contracts.change import Source
from tiercel.contracts.web import WebFramework


class Finding(Struct, frozen=True):
    """One thing that `tiercel doctor` has looked at.

    Attributes:
        subject: What.
        state: `ok`, `warning` or `wrong`.
        detail: What was found.
        advice: What to do about it; empty if nothing is to be done.
    """

    subject: str
    state: Literal["ok", "warning", "wrong"]
    detail: str
    advice: str = ""


class Integration(ABC):
    """What a framework adds; every method answers "not mine" unless overridden.

    The plugin of a framework that serves requests, or runs tasks of the application's own, also
    opens a scope around each of them, by `tiercel.spi.request_scope`, and closes it whatever
    happens: `request_cached` depends on that. Tasks of dispatchers have one without its doing.

    Attributes:
        name: The framework's name.
        web: What it knows of requests and responses; None if it is no web framework.
    """

    name: str
    web: WebFramework | None = None

    def caches(self) -> Mapping[str, Any] | None:
        """The caches of the running application, by name; None where it has none of its own.

        An integration that knows of several applications says so by `tiercel.spi.bind_anew`.
        """
        return None

    def default_url(self) -> str | None:
        """The URL of the default cache where the framework has one, or None."""
        return None

    def signing_keys(self) -> tuple[bytes, ...]:
        """Secrets for signed payloads, the one for signing first; empty where there are none."""
        return ()

    def source(self, model: object) -> Source | None:
        """What rules on this model listen to; None if it is none of the framework's."""
        return None

    def pack(self, value: object) -> tuple[str, Any] | None:
        """Take apart a value of the framework that an argument of a task may be.

        Returns:
            A tag that begins with the integration's name and a dot, and what `unpack` needs: of
            values that a task carries anyway. None if the value is none of the framework's.
        """
        return None

    def unpack(self, tag: str, data: Any) -> Any:
        """Undo `pack`, in whichever process.

        Raises:
            LookupError: What the data stands for does not exist any more.
        """
        raise LookupError(tag)

    def around_task(self) -> AbstractContextManager[object]:
        """What each task runs in, on any thread: where connections are opened and closed.

        So do awaited methods of plain functions, which run in a thread. Tasks that run in the
        thread of whoever dispatched them do without it.
        """
        return nullcontext()

    def is_isolated(self) -> bool:
        """Whether this code reads what others may not see: what it computes is not stored.

        True in a transaction that has written, as it may be rolled back, and in one that shows the
        state of an earlier time. Asked at each call that is not served from memory at once, so it
        must be quick.
        """
        return False

    def default_dispatcher(self) -> str | None:
        """The dispatcher of whoever names none, neither at a function or rule nor at its cache."""
        return None

    def dispatcher_options(self, name: str) -> Mapping[str, Any]:
        """Options of a dispatcher, where `dispatcher_config=` does not give them."""
        return {}

    def raises(self, dispatcher: str) -> bool | None:
        """Whether work of rules that fails on this dispatcher raises, where rules do not say."""
        return None

    def findings(self) -> Iterable[Finding]:
        """Look at whatever has to work of the framework's part, for `tiercel doctor`."""
        return ()

    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that waits for this thread, where the framework has started it for one.

        It must go on running at least until this thread has returned what it is to return.
        """
        return None


@dataclass(frozen=True, slots=True)
class IntegrationSpec:
    """What a plugin returns from `tiercel_integrations`."""

    name: str
    factory: Callable[[], Integration]
    spi: tuple[int, int]


Encoder = Callable[[Any], Any]
"""Turns a value of a framework's type into one that the key encoding knows."""
