"""How payloads travel to the scripts that store them: with the arguments, or ahead as a draft."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel_redis.resp import Argument, Call, Request, pack
from tiercel_redis.scripts import Script

SMALL = 2048
"""Bytes up to which a payload travels as the argument of a script."""

DRAFT_LIFE = 5000
"""Milliseconds after which a payload goes away whose script never ran."""


def storing(
    tag: int,
    payload: bytes,
    ways: tuple[Script, Script],
    names: Sequence[str],
    arguments: Sequence[Argument],
    noted: Sequence[Argument] = (),
) -> Request:
    """Return what is sent to store a payload; the last reply is that of the script.

    Args:
        tag: The hash tag of the key.
        payload: What to store.
        ways: The script for a small payload, and the one for a draft.
        names: The script's keys; the draft is the fourth.
        arguments: What stands before a small payload.
        noted: What stands behind it.
    """
    small, large = ways
    if len(payload) <= SMALL:
        return Request(tag, call=Call(small, names, (*arguments, payload, *noted)))
    upload = pack("SET", names[3], payload, "PX", str(DRAFT_LIFE))
    return Request(tag, (upload,), Call(large, names, (*arguments, *noted)))
