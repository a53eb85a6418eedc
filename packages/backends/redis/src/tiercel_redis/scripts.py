"""The Lua scripts: what must happen in one step on the server.

Random bytes come from the client. Keys are passed by name, values never pass through Lua except
small payloads of a fill. A lease is one string: the token (16 bytes), the stamps of its
generation, a newline, then the waiters, each followed by a newline.

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


def _script(*parts: str) -> Script:
    source = "\n".join(("local call = redis.call", *parts)).encode()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())


# The factors are those of `tiercel_redis.lives`.
_EXTEND = """
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

_WAKE = """
local function wake(lease, scopes, channel, text)
  if #lease <= 17 + 16 * scopes then return end
  for waiter in string.gmatch(string.sub(lease, 18 + 16 * scopes), '([^\\n]+)\\n') do
    call('PUBLISH', channel .. waiter, text)
  end
end
"""

_ANNOUNCE = """
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

# KEYS value, lease, stamps
# ARGV random, lease, stamp life, floor, force, waiter, whether to check the stamps' lives
BEGIN = _script(
    _EXTEND,
    _MINT,
    """
local random, force = ARGV[1], ARGV[5] == '1'
local stamps = call('MGET', unpack(KEYS, 2))
local held = table.remove(stamps, 1)
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
  waiters = string.sub(held, 18 + #generation)
  if not force and holder ~= token
      and string.sub(held, 17, 17 + #generation) == generation .. '\\n' then
    local waiter = ARGV[6] .. '\\n'
    if ARGV[6] ~= '' and not string.find('\\n' .. waiters, '\\n' .. waiter, 1, true) then
      call('APPEND', KEYS[2], waiter)
    end
    return {'held', holder, call('PTTL', KEYS[2]), unpack(stamps)}
  end
end
call('SET', KEYS[2], token .. generation .. '\\n' .. waiters, 'PX', ARGV[2])
return {'granted', token, 0, unpack(stamps)}
""",
)

# KEYS value, lease, stream, draft, stamps to extend
# ARGV token, life, number of scopes, wake channel, text, nonce or '', payload of a small fill
_FILL = """
local held = call('GET', KEYS[2])
if not held or string.sub(held, 1, 16) ~= ARGV[1] then
  discard()
  return 0
end
local stored = store()
call('DEL', KEYS[2])
wake(held, ARGV[3], ARGV[4], ARGV[5])
if stored.err then return stored end
for i = 5, #KEYS do extend(KEYS[i], tonumber(ARGV[2])) end
if ARGV[6] ~= '' then announce(KEYS[3], ARGV[5], ARGV[6]) end
return 1
"""

FILL = _script(
    _EXTEND,
    _WAKE,
    _ANNOUNCE,
    """
local function discard() end
local function store() return redis.pcall('SET', KEYS[1], ARGV[7], 'PX', ARGV[2]) end
""",
    _FILL,
)

FILL_DRAFT = _script(
    _EXTEND,
    _WAKE,
    _ANNOUNCE,
    """
local function discard() call('UNLINK', KEYS[4]) end
local function store()
  local renamed = redis.pcall('RENAME', KEYS[4], KEYS[1])
  if not renamed.err then call('PEXPIRE', KEYS[1], ARGV[2]) end
  return renamed
end
""",
    _FILL,
)

# KEYS lease; ARGV token, lease
RENEW = _script("""
if call('GETRANGE', KEYS[1], 0, 15) ~= ARGV[1] then return 0 end
return call('PEXPIRE', KEYS[1], ARGV[2])
""")

# KEYS lease; ARGV token, number of scopes, wake channel, text
RELEASE = _script(
    _WAKE,
    """
local held = call('GET', KEYS[1])
if held and string.sub(held, 1, 16) == ARGV[1] then
  call('DEL', KEYS[1])
  wake(held, ARGV[2], ARGV[3], ARGV[4])
end
return 1
""",
)

# KEYS value, lease, stream; ARGV number of scopes, wake channel, text, nonce
DROP_KEY = _script(
    _WAKE,
    _ANNOUNCE,
    """
local existed = call('UNLINK', KEYS[1])
local held = call('GET', KEYS[2])
if held then
  call('DEL', KEYS[2])
  wake(held, ARGV[1], ARGV[2], ARGV[3])
end
announce(KEYS[3], ARGV[3], ARGV[4])
return existed
""",
)

# KEYS stream, stamps; ARGV random, life, provenance, names, nonce
DROP_SCOPES = _script(
    _ANNOUNCE,
    """
if #KEYS > 1 then call('DEL', unpack(KEYS, 2)) end
for i = 2, #KEYS do
  local stamp = string.sub(ARGV[1], 16 * i - 31, 16 * i - 16)
  call('SET', KEYS[i], stamp .. ARGV[3], 'PX', ARGV[2])
end
announce(KEYS[1], ARGV[4], ARGV[5])
return 1
""",
)

# KEYS stamps; ARGV random, life
MINT = _script(
    _EXTEND,
    _MINT,
    """
if #KEYS == 0 then return {} end
local stamps = call('MGET', unpack(KEYS))
mint(KEYS, 1, stamps, ARGV[1], tonumber(ARGV[2]), true)
return stamps
""",
)

# KEYS stream; ARGV position or '', number of messages
POLL = _script("""
local messages = {}
if ARGV[1] ~= '' then
  local read = call('XREAD', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], ARGV[1])
  if read then messages = read[1][2] end
end
return {messages, call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)}
""")
