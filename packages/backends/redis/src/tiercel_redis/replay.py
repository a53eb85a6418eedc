"""How what was announced in a channel is dropped again: by names, of whatever they are."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tiercel.spi import Replay
from tiercel_redis.decoding import done
from tiercel_redis.lives import Lives
from tiercel_redis.names import CHANNELS, Names, claim_name, lease_name, value_name
from tiercel_redis.resp import Argument, Call, Plan, Request
from tiercel_redis.scripts import ANNOUNCE, script

# KEYS stream, then for each name stamp, value, lease and claim; ARGV names, nonce
# Who waits for one of the leases asks again before long: where its waiters stand, no name says.
REPLAY = script(
    ANNOUNCE,
    """
call('UNLINK', unpack(KEYS, 2))
announce(KEYS[1], ARGV[1], ARGV[2])
return 1
""",
)


def plan_replay(names: Names, lives: Lives, command: Replay) -> Plan:
    """Return what a `Replay` sends: one script on each channel, whose message has all names."""
    tags = [CHANNELS.index(channel) for channel in command.channels]
    requests = [Request(tag, call=_call(names, lives, tag, command.names)) for tag in tags]
    return Plan(requests, done, patient=len(requests) > 1)


def _call(names: Names, lives: Lives, tag: int, announced: Sequence[str]) -> Call:
    stamps = [names.place(tag) + name for name in announced]
    lives.forget(stamps)
    kinds = (str, value_name, lease_name, claim_name)
    keys = (names.stream(tag), *(kind(stamp) for stamp in stamps for kind in kinds))

    def arguments() -> Sequence[Argument]:
        return "\n".join(announced), os.urandom(8).hex()

    return Call(REPLAY, keys, arguments)
