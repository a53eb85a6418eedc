"""How a function is cached, and what its cache must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher
from tiercel.engine.builds import Ledger
from tiercel.engine.state import Engine
from tiercel.invalidation import InvalidationRule
from tiercel.keys.encoding import Encoders
from tiercel.policy import Policy


class Home(Protocol):
    """A cache, as far as its functions need one."""

    name: str
    prefix: str
    engine: Engine
    encoders: Encoders

    def codec(self, name: str | Codec | None, compress: Any) -> Codec: ...

    def dispatcher(
        self, name: str | None, config: Mapping[str, Any] | None, otherwise: str
    ) -> Dispatcher: ...

    def check_dispatcher(self, owner: str, name: str | None) -> None: ...

    def in_use(self) -> None: ...

    def ledger(self) -> Ledger | None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How a function is cached: what a door makes of its arguments.

    Attributes:
        key: Anything that `as_constructor` accepts.
        policy: What may be stored and served.
        name: The function's name across processes; None: `module:qualname`.
        version: Instead of the key constructor's version; None: that one.
        codec: Instead of the cache's codec.
        compress: Instead of the cache's compression.
        dispatcher: Name of the dispatcher for refreshes; None: the cache's.
        dispatcher_config: Its options.
        tags: Names by which entries are dropped together with those of other functions.
        invalidates_on: Rules: which changes drop which entries.
        index: Whether entries can be listed; or how many of them, 10,000 by default. Rules that
            rewarm have them listed in any case.
    """

    key: Any = None
    policy: Policy = field(default_factory=Policy)
    name: str | None = None
    version: int | str | None = None
    codec: str | Codec | None = None
    compress: Any = None
    dispatcher: str | None = None
    dispatcher_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] | Callable[..., Sequence[str]] | None = None
    invalidates_on: Sequence[InvalidationRule] | InvalidationRule | None = None
    index: bool | int = False
