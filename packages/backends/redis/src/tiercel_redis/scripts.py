"""The Lua scripts: what must happen in one step on the server.

Random bytes come from the client. Keys are passed by name, values never pass through Lua except
small payloads of a fill. A lease is one string: the token (16 bytes), the stamps of its
generation, a newline, for functions with an index `!`, the fence (16 bytes) and a newline, then the
waiters, each followed by a newline.

Scripts that drop begin with a command that needs no memory (`DEL`, `UNLINK`): a server out of
memory then lets the rest of the script through, on every version, as it refuses commands only
until a script has written (Redis documentation, "Eval scripts" and `lua_write_dirty`).
"""

from __future__ import annotations

from hashlib import sha1

from msgspec import Struct


class Script(Struct, frozen=True):
    """A Lua script and the digest by which servers know it."""

    source: bytes
    digest: bytes


def script(*parts: str) -> Script:
    """Return the script that consists of these parts."""
    source = "\n".join(("local call = redis.call", *parts)).encode()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())


# The factors are those of `tiercel_redis.lives`.
EXTEND = """
local function extend(name, life)
  local left = call('PTTL', name)
  if left >= 0 and left < life * 1.125 then call('PEXPIRE', name, math.floor(life * 1.25)) end
end
"""

# Leaves `stamps` complete, and tells whether one was missing.
_MINT = """
local function mint(names, first, stamps, random, life, check)
  local minted = false
  for i = first, #names do
    local at = i - first + 1
    if stamps[at] and #stamps[at] >= 16 then
      if check then extend(names[i], life) end
    else
      stamps[at], minted = string.sub(random, 16 * at - 15, 16 * at), true
      call('SET', names[i], stamps[at], 'PX', math.floor(life * 1.25))
    end
  end
  return minted
end
"""

# A server that does not let the user publish wakes nobody; waiters then go by their timers.
WAKE = """
local function wake(lease, scopes, channel, text)
  if #lease <= 17 + 16 * scopes then return end
  local first = 18 + 16 * scopes
  if string.byte(lease, first) == 33 then first = first + 18 end
  for waiter in string.gmatch(string.sub(lease, first), '([^\\n]+)\\n') do
    redis.pcall('PUBLISH', channel .. waiter, text)
  end
end
"""

ANNOUNCE = """
local function announce(stream, names, nonce)
  local last = call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local id, previous
  if last then
    local epoch, number = string.match(last[1], '(%d+)-(%d+)')
    id, previous = epoch .. '-' .. string.format('%.0f', number + 1), last[2][2]
  else
    local now = call('TIME')
    call('DEL', stream)
    id, previous = string.format('%.0f-1', now[1] * 1000 + math.floor(now[2] / 1000)), ''
  end
  call('XADD', stream, 'MAXLEN', '~', 10000, id,
    'nonce', nonce, 'previous', previous, 'names', names)
end
"""

_UNFENCED = "local fence = ''"

# KEYS value, lease, stamps
# ARGV random, lease, stamp life, floor, force, waiter, whether to check the stamps' lives
_BEGIN_READ = """
local random, force = ARGV[1], ARGV[5] == '1'
local stamps = call('MGET', unpack(KEYS, 2))
local held = table.remove(stamps, 1)
"""

_BEGIN = """
local minted = mint(KEYS, 3, stamps, string.sub(random, 17), tonumber(ARGV[3]), ARGV[7] == '1')
local generation = ''
for _, stamp in ipairs(stamps) do generation = generation .. string.sub(stamp, 1, 16) end
if not force and not minted and call('PTTL', KEYS[1]) > tonumber(ARGV[4])
    and call('GETRANGE', KEYS[1], 48, 47 + #generation) == generation then
  return {'found'}
end
local token, waiters = string.sub(random, 1, 16), ''
if held then
  local holder = string.sub(held, 1, 16)
  local first = 18 + #generation
  if string.byte(held, first) == 33 then first = first + 18 end
  waiters = string.sub(held, first)
  if not force and holder ~= token
      and string.sub(held, 17, 17 + #generation + #fence) == generation .. '\\n' .. fence then
    local waiter = ARGV[6] .. '\\n'
    if ARGV[6] ~= '' and not string.find('\\n' .. waiters, '\\n' .. waiter, 1, true) then
      call('APPEND', KEYS[2], waiter)
    end
    return {'held', holder, call('PTTL', KEYS[2]), unpack(stamps)}
  end
end
"""

_GRANT = """
call('SET', KEYS[2], token .. generation .. '\\n' .. fence .. waiters, 'PX', ARGV[2])
return {'granted', token, 0, unpack(stamps)}
"""

BEGIN = script(EXTEND, _MINT, _UNFENCED, _BEGIN_READ, _BEGIN, _GRANT)

# A claim is the token (16 bytes), `r`, `d` or `f` for running, done or failed, the stamps of its
# generation and the type of the error. It has to be there until its end, so that a server that
# evicts is asked for none. Its name is the last of KEYS, its life the last of ARGV.
_TAKE_CLAIM = "local claim, claimed_for = table.remove(KEYS), table.remove(ARGV)"

_CHECK_CLAIM = """
local policy = string.match(call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or 'unknown'
if policy ~= 'noeviction' then return {'unsafe', policy} end
local record = call('GET', claim)
if record and not force and string.sub(record, 1, 16) ~= token
    and string.sub(record, 18, 17 + #generation) == generation then
  return {'spent', string.sub(record, 17, 17), string.sub(record, 18 + #generation)}
end
call('SET', claim, token .. 'r' .. generation, 'PX', claimed_for)
"""

BEGIN_CLAIMED = script(
    EXTEND, _MINT, _UNFENCED, _TAKE_CLAIM, _BEGIN_READ, _BEGIN, _CHECK_CLAIM, _GRANT
)

# KEYS value, lease, stream, draft, stamps to extend
# ARGV token, life, number of scopes, wake channel, text, nonce or '', payload of a small fill
_CLAIM = """
local held = call('GET', KEYS[2])
if not held or string.sub(held, 1, 16) ~= ARGV[1] then
  discard()
  return 0
end
"""

STORE = """
local stored = store()
call('DEL', KEYS[2])
wake(held, ARGV[3], ARGV[4], ARGV[5])
if stored.err then return stored end
for i = 5, #KEYS do extend(KEYS[i], tonumber(ARGV[2])) end
if ARGV[6] ~= '' then announce(KEYS[3], ARGV[5], ARGV[6]) end
"""

STORE_SMALL = """
local function discard() end
local function store() return redis.pcall('SET', KEYS[1], ARGV[7], 'PX', ARGV[2]) end
"""

STORE_DRAFTED = """
local function discard() call('UNLINK', KEYS[4]) end
local function store()
  local renamed = redis.pcall('RENAME', KEYS[4], KEYS[1])
  if not renamed.err then call('PEXPIRE', KEYS[1], ARGV[2]) end
  return renamed
end
"""

FILL = script(EXTEND, WAKE, ANNOUNCE, STORE_SMALL, _CLAIM, STORE, "return 1")
FILL_DRAFT = script(EXTEND, WAKE, ANNOUNCE, STORE_DRAFTED, _CLAIM, STORE, "return 1")


# KEYS lease, claim; ARGV token, lease, claim
RENEW = script("""
if call('GETRANGE', KEYS[1], 0, 15) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '0' and call('GETRANGE', KEYS[2], 0, 15) == ARGV[1] then
  call('PEXPIRE', KEYS[2], ARGV[3])
end
return call('PEXPIRE', KEYS[1], ARGV[2])
""")

# KEYS claim; ARGV token, life, state, type of the error, number of scopes
SETTLE = script("""
local record = call('GET', KEYS[1])
if not record or string.sub(record, 1, 16) ~= ARGV[1] then return 0 end
local generation = string.sub(record, 18, 17 + 16 * ARGV[5])
call('SET', KEYS[1], ARGV[1] .. ARGV[3] .. generation .. ARGV[4], 'PX', ARGV[2])
return 1
""")

# KEYS lease, claim; ARGV token, number of scopes, wake channel, text, whether the claim goes, too
RELEASE = script(
    WAKE,
    """
local held = call('GET', KEYS[1])
if held and string.sub(held, 1, 16) == ARGV[1] then
  call('DEL', KEYS[1])
  wake(held, ARGV[2], ARGV[3], ARGV[4])
end
if ARGV[5] == '1' and call('GETRANGE', KEYS[2], 0, 15) == ARGV[1] then call('DEL', KEYS[2]) end
return 1
""",
)

# KEYS value, lease, stream, claim
# ARGV number of scopes, wake channel, text, nonce, tombstone, its life
DROP_KEY = script(
    WAKE,
    ANNOUNCE,
    """
local buried = call('GETRANGE', KEYS[1], 0, 7) == '\\0dropped'
local existed = buried and 0 or call('UNLINK', KEYS[1])
call('DEL', KEYS[4])
local held = call('GET', KEYS[2])
if held then
  call('DEL', KEYS[2])
  wake(held, ARGV[1], ARGV[2], ARGV[3])
end
announce(KEYS[3], ARGV[3], ARGV[4])
if existed == 1 and ARGV[5] ~= '' then call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6]) end
return existed
""",
)

# KEYS stream, stamps; ARGV random, life, provenance, names, nonce
_DROP_SCOPES = """
if #KEYS > 1 then call('DEL', unpack(KEYS, 2)) end
for i = 2, #KEYS do
  local stamp = string.sub(ARGV[1], 16 * i - 31, 16 * i - 16)
  call('SET', KEYS[i], stamp .. ARGV[3], 'PX', ARGV[2])
end
announce(KEYS[1], ARGV[4], ARGV[5])
return 1
"""

DROP_SCOPES = script(ANNOUNCE, _DROP_SCOPES)

# KEYS stamps; ARGV random, life
MINT = script(
    EXTEND,
    _MINT,
    """
if #KEYS == 0 then return {} end
local stamps = call('MGET', unpack(KEYS))
mint(KEYS, 1, stamps, ARGV[1], tonumber(ARGV[2]), true)
return stamps
""",
)

# KEYS stream; ARGV position or '', number of messages
POLL = script("""
local messages = {}
if ARGV[1] ~= '' then
  local read = call('XREAD', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], ARGV[1])
  if read then messages = read[1][2] end
end
return {messages, call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)}
""")

# The index of a function: a sorted set of keys by the time when their entries end, and a hash of
# their notes. In the set, ' since' marks an index that is there although it may list nothing, and
# ' lost' stands at the time until which entries may be missing. No key begins with a space.

CLOCK = """
local function clock()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

_RENEW_INDEX = """
local function renew_index(index, notes, life)
  call('UNLINK', index, notes)
  call('ZADD', index, '+inf', ' since')
  call('PEXPIRE', index, life * 2)
end
"""

_TAKE_INDEX = """
local notes, index, barrier = table.remove(KEYS), table.remove(KEYS), table.remove(KEYS)
local function seal(stamp) return '!' .. string.sub(stamp, 1, 16) .. '\\n' end
"""

# Without the function's own stamp nothing can be read, so nothing can be missing.
_FENCED = """
if not stamps[1] then renew_index(index, notes, ARGV[3]) end
local fence = call('GET', barrier)
if not fence then
  fence = string.sub(random, -16)
  call('SET', barrier, fence, 'PX', ARGV[3] * 2)
end
fence = seal(fence)
"""

# KEYS as for BEGIN, then fence, index, notes; ARGV as for BEGIN, random bytes for the fence last
_INDEXED_READ = (_RENEW_INDEX, _TAKE_INDEX, _BEGIN_READ, _FENCED, _BEGIN)
BEGIN_INDEXED = script(EXTEND, _MINT, *_INDEXED_READ, _GRANT)
BEGIN_CLAIMED_INDEXED = script(EXTEND, _MINT, _TAKE_CLAIM, *_INDEXED_READ, _CHECK_CLAIM, _GRANT)

_CHECK_FENCE = """
local fence, at = call('GET', barrier), 18 + 16 * ARGV[3]
if not fence or string.sub(held, at, at + 17) ~= seal(fence) then
  discard()
  call('DEL', KEYS[2])
  wake(held, ARGV[3], ARGV[4], ARGV[5])
  return 0
end
"""

# What has ended is removed by every 16th fill, about, and what is too much 32 at a time.
# Needs `index` and `notes`; life and text as second and fifth of ARGV, and at its end what
# `tiercel_redis.listing.note_arguments` returns.
NOTE = """
local note, limit, longest, kept = unpack(ARGV, #ARGV - 3)
local now = clock()
call('ZADD', index, now + ARGV[2], ARGV[5])
local size = call('ZCARD', index)
if size == 1 then
  call('UNLINK', notes)
  call('ZADD', index, '+inf', ' since', now + longest, ' lost')
end
call('HSET', notes, ARGV[5], note)
if size % 16 == 0 or now % 16 == 0 or size > limit + 32 then
  local ended = call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 64)
  if #ended > 0 then
    call('ZREM', index, unpack(ended))
    call('HDEL', notes, unpack(ended))
    size = size - #ended
  end
end
if size > limit + 32 then
  local lost = tonumber(call('ZSCORE', index, ' lost') or 0)
  local known = call('ZREM', index, ' lost')
  local popped = call('ZPOPMIN', index, math.min(size - known - 1 - limit, 64))
  for i = 1, #popped, 2 do
    call('HDEL', notes, popped[i])
    lost = math.max(lost, tonumber(popped[i + 1]))
  end
  call('ZADD', index, lost, ' lost')
end
if call('PTTL', notes) < kept * 1.5 then
  call('PEXPIRE', index, kept * 2)
  call('PEXPIRE', notes, kept * 2)
end
return 1
"""

# KEYS as for FILL, then fence, index, notes
# ARGV as for FILL, then note, limit, longest life, life of the index
_FILL_INDEXED = (_CLAIM, _CHECK_FENCE, STORE, NOTE)
_INDEXED = (EXTEND, WAKE, ANNOUNCE, CLOCK, _TAKE_INDEX)
FILL_INDEXED = script(*_INDEXED, STORE_SMALL, *_FILL_INDEXED)
FILL_DRAFT_INDEXED = script(*_INDEXED, STORE_DRAFTED, *_FILL_INDEXED)

# KEYS as for DROP_SCOPES, then index and notes of each function with an index
# ARGV as for DROP_SCOPES, then their number and the life of an index
DROP_INDEXED = script(
    ANNOUNCE,
    _RENEW_INDEX,
    """
for i = 1, ARGV[6] do
  local notes, index = table.remove(KEYS), table.remove(KEYS)
  renew_index(index, notes, ARGV[7])
end
""",
    _DROP_SCOPES,
)

# KEYS index, notes, the function's stamp; ARGV cursor, number of entries
LIST = script(
    CLOCK,
    """
local page = call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[2])
if call('EXISTS', KEYS[1]) == 0 then return {page[1], page[2], 1 - call('EXISTS', KEYS[3])} end
local lost = call('ZSCORE', KEYS[1], ' lost')
local listed = call('ZCARD', KEYS[1]) - (lost and 2 or 1)
local complete = call('HLEN', KEYS[2]) == listed and not (lost and tonumber(lost) > clock())
return {page[1], page[2], complete and 1 or 0}
""",
)
