"""Storing an entry without a lease, by one script that compares the stamps."""

from __future__ import annotations

import os

from tiercel.spi import STAMP_BYTES, STAMPS_OFFSET, Overwrite
from tiercel_redis.names import Names, draft_name, lease_name, value_name
from tiercel_redis.payloads import storing
from tiercel_redis.resp import Request, milliseconds
from tiercel_redis.scripts import ANNOUNCE, EXTEND, STORE, STORE_DRAFTED, STORE_SMALL, WAKE, script

# KEYS value, lease, stream, draft, stamps; ARGV as for `FILL`, with the stamps for the token
_UNCHANGED = """
local stamps = call('MGET', KEYS[2], unpack(KEYS, 5))
local held = stamps[1] or ''
for i = 2, #stamps do
  local stamp = stamps[i]
  if not stamp or string.sub(stamp, 1, 16) ~= string.sub(ARGV[1], 16 * i - 31, 16 * i - 16) then
    discard()
    return 0
  end
end
"""

OVERWRITE = script(EXTEND, WAKE, ANNOUNCE, STORE_SMALL, _UNCHANGED, STORE, "return 1")
OVERWRITE_DRAFT = script(EXTEND, WAKE, ANNOUNCE, STORE_DRAFTED, _UNCHANGED, STORE, "return 1")


def overwriting(names: Names, command: Overwrite) -> Request:
    """Return what is sent for an `Overwrite`; the last reply is 1, or 0 if it was not stored."""
    key, payload, nonce = command.key, command.payload, os.urandom(8)
    tag = names.tag(key.spread)
    place = names.place(tag)
    name = place + key.text
    stamps = [place + scope for scope in key.scopes]
    draft = draft_name(name, nonce)
    involved = (value_name(name), lease_name(name), names.stream(tag), draft, *stamps)
    carried = payload[STAMPS_OFFSET : STAMPS_OFFSET + STAMP_BYTES * len(stamps)]
    life = milliseconds(command.life)
    arguments = (carried, life, len(stamps), names.wake, key.text, nonce.hex())
    return storing(tag, payload, (OVERWRITE, OVERWRITE_DRAFT), involved, arguments)
