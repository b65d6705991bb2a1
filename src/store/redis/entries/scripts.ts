// Operations on entries that must be one step in Redis: commit, renewal of metadata, removal.
import { clockToleranceMs } from '../../../policy/freshness.ts'
import { firstNumberOffset, keepUntilOffset, metadataVersion, requestTimeOffset, responseTimeOffset, textStartOffset } from '../../codec.ts'
import { mostFieldsEver } from './fields.ts'
import { publishing, Script } from '../connect/script.ts'
import { usePeriodMs } from '../../use-period.ts'
import { version } from './value.ts'

// A value begins with its version (1 byte), then the metadata: Lua counts from 1.
const at = (offset: number): number => offset + 2

const mostChunks = 65_536

// Chunk keys are made here, not passed in KEYS. This is safe in a cluster: they have the hash tag of the entry, and so its
// slot.
const common = `
local function readable(v)
  return v and #v > ${at(36)} and v:byte(1) == ${version} and v:byte(2) == ${metadataVersion} and struct.unpack('<I4', v, ${at(4)}) + 7 <= #v
end
local function requestTime(v) return (struct.unpack('<d', v, ${at(requestTimeOffset)})) end
local function responseTime(v) return (struct.unpack('<d', v, ${at(responseTimeOffset)})) end
local function keepUntil(v) return (struct.unpack('<d', v, ${at(keepUntilOffset)})) end
-- The stamp: the first string of the metadata. Stamps are ASCII; other strings read as '', which has no order.
local function stamp(v)
  local at, length, scale, byte = ${at(firstNumberOffset)}, 0, 1, 0
  repeat
    byte = v:byte(at) or 0
    length, scale, at = length + byte % 128 * scale, scale * 128, at + 1
  until byte < 128
  if length % 4 ~= 0 then return '' end
  local from = 2 + struct.unpack('<I4', v, ${at(textStartOffset)})
  return v:sub(from, from + length / 4 - 1)
end
local function ahead(time, now) return time > now + ${clockToleranceMs} end
-- True if a stored response stays when another one would replace it: see outlasts in ../../order.ts.
local function outlasts(stored, value, now)
  local a, b = stamp(stored), stamp(value)
  if a ~= b then return a:match('^[^.]*%.') == b:match('^[^.]*%.') and a > b end
  return requestTime(stored) > requestTime(value) and not ahead(requestTime(stored), now)
end
-- Milliseconds as Redis takes them. An infinite time becomes a long one.
local function expiry(ms) return string.format('%.0f', math.min(math.max(math.ceil(ms) + 1, 1), 315360000000)) end
local function eachChunk(key, v, visit)
  local middle = 2 + struct.unpack('<I4', v, ${at(4)})
  if v:byte(middle) ~= 1 then return true end
  local chunks = middle + 6 + struct.unpack('<I4', v, middle + 2)
  if #v < chunks + 29 then return false end
  local count = struct.unpack('<I4', v, chunks)
  if count > ${mostChunks} then return false end -- damaged: no body has so many
  local id = v:sub(chunks + 8, chunks + 29)
  for n = 0, count - 1 do
    if not visit(key .. ':b:' .. id .. ':' .. n) then return false end
  end
  return true
end
-- Readers on any replica may still need the body: its chunks stay for the grace time, then Redis frees them. A chunk that is
-- being moved to another cluster node cannot be reached, and keeps its present time to live.
local function retire(key, v, grace)
  if not readable(v) then return end
  eachChunk(key, v, function(chunk)
    local left = redis.pcall('PTTL', chunk)
    if type(left) == 'number' and left > grace then redis.pcall('PEXPIRE', chunk, grace) end
    return true
  end)
end
-- Removes a value of another type under our name, and a hash with more fields than we write: no program needs them.
local function clear(key)
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' then return end
  if kind ~= 'hash' or redis.call('HLEN', key) > ${mostFieldsEver} then redis.call('UNLINK', key) end
end
${publishing}`

/**
 * Makes a value visible if all its chunks exist and no newer value does. Drops the least recently used variants beyond the
 * most that a key may have (uses.ts).
 *
 * A reported use counts until the end of its period, because no later one is reported before. Among variants that were used in
 * one period, the last report decides.
 *
 * KEYS: entry, its uses. ARGV: field, value, most variants, now, grace, channel, message for replicas with copies. Returns the
 * number of variants, of which this is one; 0 if a newer value exists; -1 if a chunk is missing.
 */
export const commitScript = new Script(`${common}
local key, field, value = KEYS[1], ARGV[1], ARGV[2]
local most, now, grace = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
clear(key)
local present = redis.call('HGET', key, field)
local replaces = readable(present) and keepUntil(present) >= now
if replaces and outlasts(present, value, now) then return 0 end
local ttl = expiry(keepUntil(value) - now)
-- pcall: a chunk that is being moved to another cluster node cannot be reached here.
local whole = eachChunk(key, value, function(chunk) return redis.pcall('PEXPIRE', chunk, ttl) == 1 end)
if not whole then return -1 end
local until_ = keepUntil(value)
local others = {}
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local name, v = all[i], all[i + 1]
  if name == field then
    -- The same value again is the same commit, sent twice.
    if v ~= value then retire(key, v, grace) end
  elseif readable(v) and keepUntil(v) >= now and not ahead(responseTime(v), now) then
    others[#others + 1] = { name, v, responseTime(v), responseTime(v) }
  else
    redis.call('HDEL', key, name)
    retire(key, v, grace)
  end
end
if #others >= most then
  local uses = KEYS[2]
  clear(uses)
  -- Most of them belong to variants that were dropped.
  if redis.call('HLEN', uses) > 2 * most then redis.call('UNLINK', uses) end
  local used = redis.call('HGETALL', uses)
  local last = {}
  for i = 1, #used, 2 do last[used[i]] = tonumber(used[i + 1]) end
  for _, other in ipairs(others) do
    local use = last[other[1]]
    if use and use == use and not ahead(use, now) and use > other[4] then
      other[4] = use
      other[3] = math.max(other[3], (math.floor(use / ${usePeriodMs}) + 1) * ${usePeriodMs})
    end
  end
end
table.sort(others, function(a, b)
  if a[3] ~= b[3] then return a[3] > b[3] end
  return a[4] > b[4]
end)
for i, other in ipairs(others) do
  if i >= most then
    redis.call('HDEL', key, other[1])
    redis.call('HDEL', KEYS[2], other[1])
    retire(key, other[2], grace)
  else
    until_ = math.max(until_, keepUntil(other[2]))
  end
end
redis.call('HSET', key, field, value)
redis.call('PEXPIRE', key, expiry(until_ - now))
-- Other replicas may have a copy.
if replaces then publish(ARGV[6], ARGV[7]) end
return answer(math.min(#others + 1, most))
`)

/**
 * Replaces the head of a value whose head is `was`.
 *
 * KEYS: entry. ARGV: field, was, new field, new head, now, grace, channel, message. Returns 1; 0 if the value has changed;
 * -1 if it does not exist.
 */
export const refreshScript = new Script(`${common}
local key, field, was, newField, head = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, grace = tonumber(ARGV[5]), tonumber(ARGV[6])
clear(key)
local v = redis.call('HGET', key, field)
if not readable(v) or keepUntil(v) < now then return -1 end
if v:sub(1, #was) ~= was then return 0 end
local ttl = expiry(keepUntil(head) - now)
local whole = eachChunk(key, v, function(chunk)
  local left = redis.pcall('PTTL', chunk)
  if type(left) ~= 'number' then return false end
  if left < tonumber(ttl) and left ~= -1 then return redis.pcall('PEXPIRE', chunk, ttl) == 1 end
  return true
end)
if not whole then
  redis.call('HDEL', key, field)
  return -1
end
if newField ~= field then
  retire(key, redis.call('HGET', key, newField), grace)
  redis.call('HDEL', key, field)
end
redis.call('HSET', key, newField, head .. v:sub(#was + 1))
-- The key lives as long as the longest of its variants.
if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
publish(ARGV[7], ARGV[8])
return answer(1)
`)

/**
 * Removes one variant, or all. Also publishes if Redis has none, because a replica may still have a copy.
 *
 * KEYS: entry. ARGV: grace, channel, message, field or nothing, id of its chunks or nothing. With an id, only a value with
 * these chunks is removed, because another may have replaced it.
 */
export const removeScript = new Script(`${common}
local key, grace, field, id = KEYS[1], tonumber(ARGV[1]), ARGV[4], ARGV[5]
clear(key)
if id and not (redis.call('HGET', key, field) or ''):find(id, 1, true) then return 0 end
publish(ARGV[2], ARGV[3])
if field then
  retire(key, redis.call('HGET', key, field), grace)
  return answer(redis.call('HDEL', key, field))
end
local all = redis.call('HGETALL', key)
for i = 2, #all, 2 do retire(key, all[i], grace) end
return answer(redis.call('UNLINK', key))
`)

/**
 * Drops values that this version cannot read. KEYS: entry. ARGV: the SHA-1 of each, so that a replaced value stays. Returns
 * how many were dropped. Their chunks have a time to live.
 */
export const dropScript = new Script(`
local key = KEYS[1]
local dropped = 0
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local hash = redis.sha1hex(all[i + 1])
  for _, spoilt in ipairs(ARGV) do
    if hash == spoilt then dropped = dropped + redis.call('HDEL', key, all[i]) end
  end
end
return dropped
`)

/**
 * Checks that chunks exist with the right lengths. KEYS: chunks. ARGV: length of each, length of the last. Returns 1 or 0.
 */
export const chunksScript = new Script(`
for n, chunk in ipairs(KEYS) do
  -- pcall: a value that is no string has no length, and is no chunk.
  if redis.pcall('STRLEN', chunk) ~= tonumber(ARGV[n == #KEYS and 2 or 1]) then return 0 end
end
return 1
`)
