// Steps on a session's record, and on the sessions of a user, that must be one in Redis.
import { publishing, Script } from '../../store/redis/connect/script.ts'
import { mostMembers } from '../data.ts'
import { enterMs, mostTokens } from './store.ts'

// A record is a hash. Fields of one letter are its own; a member of the data has the field `d` and its name as JSON, and the value
// `number:text`. The numbers keep the order of members, which a hash forgets once a value has more than 64 bytes.
//
// h: digest · n, p: issued and replaced digests, each `digest:ms`, separated by spaces · u: user · r: realm · v: version · c, l, s, e:
// created, login, seen, end · i: idle time · k: remembered · t: transport · b: label · m: mark · z: bytes of the data · x: members of
// the data · q: the next number

/** The functions that more than one script needs. A number beyond 10^14 would be written with an exponent. */
const shared = `
local key = KEYS[1]
local function nowMs()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function text(number) return string.format('%.0f', number) end
local function prolong(now)
  local left = redis.call('HMGET', key, 'i', 'e')
  local ms = math.min(tonumber(left[1]), tonumber(left[2]) - now)
  redis.call('PEXPIRE', key, text(math.max(1, ms)))
end
local function tokens(list)
  local found = {}
  for digest, ms in string.gmatch(list or '', '(%S+):(%d+)') do found[#found + 1] = { digest, tonumber(ms) } end
  return found
end
local function setTokens(field, list)
  while #list > ${mostTokens} do table.remove(list, 1) end
  if #list == 0 then return redis.call('HDEL', key, field) end
  local words = {}
  for i, token in ipairs(list) do words[i] = token[1] .. ':' .. text(token[2]) end
  redis.call('HSET', key, field, table.concat(words, ' '))
end
`

/** KEYS: record. ARGV: milliseconds. Returns 1 if the session was prolonged. */
export const touchScript = new Script(`${shared}
local seen = redis.call('HGET', key, 's')
if not seen then return 0 end
local now = nowMs()
if now - tonumber(seen) < tonumber(ARGV[1]) then return 0 end
redis.call('HSET', key, 's', text(now))
prolong(now)
return 1
`)

/** KEYS: record. ARGV: digest, grace in milliseconds, channel, id. Returns a member of `Presented`. Publishes the id if the session ends. */
export const presentScript = new Script(`${shared}${publishing}
local digest = ARGV[1]
local record = redis.call('HMGET', key, 'h', 'n', 'p')
if not record[1] then return 'unknown' end
if record[1] == digest then return 'live' end
local now = nowMs()
local issued, replaced = tokens(record[2]), tokens(record[3])
for i, token in ipairs(issued) do
  if token[1] == digest then
    table.remove(issued, i)
    replaced[#replaced + 1] = { record[1], now + tonumber(ARGV[2]) }
    redis.call('HSET', key, 'h', digest)
    setTokens('n', issued)
    setTokens('p', replaced)
    return 'live'
  end
end
for _, token in ipairs(replaced) do
  if token[1] == digest then
    if now <= token[2] then return 'superseded' end
    redis.call('UNLINK', key)
    publish(ARGV[3], ARGV[4])
    return answer('reused')
  end
end
return 'unknown'
`)

/** KEYS: record. ARGV: absolute milliseconds, '1' for a login, then fields and values. Returns 1, or 0 if there is a record. */
export const createScript = new Script(`${shared}
if redis.call('EXISTS', key) == 1 then return 0 end
local now = nowMs()
redis.call('HSET', key, 'c', text(now), 's', text(now), 'e', text(now + tonumber(ARGV[1])), unpack(ARGV, 3))
if ARGV[2] == '1' then redis.call('HSET', key, 'l', text(now)) end
prolong(now)
return 1
`)

/**
 * KEYS: record. ARGV: version or '', mark or '', most bytes, then for each change: field, '' or the expected text behind `=` or `-` for
 * none, the new text behind `=` or `-` for none.
 */
export const patchScript = new Script(`${shared}
local record = redis.call('HMGET', key, 'v', 'z', 'x', 'q', 'm')
if not record[1] then return { 'absent' } end
local version, bytes, members, number = tonumber(record[1]), tonumber(record[2]), tonumber(record[3]), tonumber(record[4])
if ARGV[1] ~= '' and version ~= tonumber(ARGV[1]) then return { 'conflict' } end
local before, moved, current = {}, false, { 'moved' }
for i = 4, #ARGV, 3 do
  local value = redis.call('HGET', key, ARGV[i])
  local order, old = string.match(value or '', '^(%d+):(.*)$')
  before[ARGV[i]] = { order, old }
  local now = old and '=' .. old or '-'
  if ARGV[i + 1] ~= '' and ARGV[i + 1] ~= now then moved = true end
  current[#current + 1] = ARGV[i]
  current[#current + 1] = now
end
if moved then return current end
local newBytes, newMembers = bytes, members
for i = 4, #ARGV, 3 do
  local old = before[ARGV[i]][2]
  -- The name as JSON and its text, a colon and a comma. The field has one letter before the name.
  if old then newBytes, newMembers = newBytes - (#ARGV[i] + 1 + #old), newMembers - 1 end
  if ARGV[i + 2] ~= '-' then newBytes, newMembers = newBytes + #ARGV[i] + #ARGV[i + 2], newMembers + 1 end
end
if (newBytes > tonumber(ARGV[3]) and newBytes > bytes) or (newMembers > ${mostMembers} and newMembers > members) then return { 'too-large' } end
if ARGV[2] ~= '' and (not record[5] or record[5] < ARGV[2]) then redis.call('HSET', key, 'm', ARGV[2]) end
if #ARGV < 4 then return { 'patched', version } end
for i = 4, #ARGV, 3 do
  if ARGV[i + 2] == '-' then redis.call('HDEL', key, ARGV[i])
  else
    local order = before[ARGV[i]][1]
    if not order then order, number = text(number), number + 1 end
    redis.call('HSET', key, ARGV[i], order .. ':' .. string.sub(ARGV[i + 2], 2))
  end
end
redis.call('HSET', key, 'v', text(version + 1), 'z', text(newBytes), 'x', text(newMembers), 'q', text(number))
return { 'patched', version + 1 }
`)

/** KEYS: record. ARGV: digest, window in milliseconds. Returns 'issued', 'pending' or 'absent'. */
export const rotateScript = new Script(`${shared}
local record = redis.call('HMGET', key, 'h', 'n')
if not record[1] then return 'absent' end
local now = nowMs()
local issued = tokens(record[2])
local last = issued[#issued]
if last and now - last[2] < tonumber(ARGV[2]) then return 'pending' end
issued[#issued + 1] = { ARGV[1], now }
setTokens('n', issued)
return 'issued'
`)

/** KEYS: record. ARGV: position. */
export const markScript = new Script(`
local record = redis.call('HMGET', KEYS[1], 'h', 'm')
if record[1] and (not record[2] or record[2] < ARGV[1]) then redis.call('HSET', KEYS[1], 'm', ARGV[1]) end
return 1
`)

/** KEYS: record. ARGV: version or '', channel, id. Returns 'ended', realm, user; 'changed'; or 'absent'. Publishes the id of an ended session. */
export const endScript = new Script(`${publishing}
-- Something else than a hash has no version, and can be ended.
local record = redis.pcall('HMGET', KEYS[1], 'v', 'r', 'u')
if not record[1] and redis.call('EXISTS', KEYS[1]) == 0 then return { 'absent' } end
if ARGV[1] ~= '' and record[1] ~= ARGV[1] then return { 'changed' } end
redis.call('UNLINK', KEYS[1])
publish(ARGV[2], ARGV[3])
return answer({ 'ended', record[2] or '', record[3] or nil })
`)

// The sessions of a user are a hash: the id of each, and `state end entered`. States: P entered, A active, D doomed. An entered session
// is never taken for dead, because its record may be written at any moment.
const index = `${shared}
local function sessions()
  local all, found = redis.call('HGETALL', key), {}
  for i = 1, #all, 2 do
    local state, ends, entered = string.match(all[i + 1], '^(%a) (%d+) (%d+)$')
    if state then found[#found + 1] = { sid = all[i], state = state, ends = tonumber(ends), entered = tonumber(entered) } end
  end
  return found
end
local function put(session)
  redis.call('HSET', key, session.sid, session.state .. ' ' .. text(session.ends) .. ' ' .. text(session.entered))
end
`

/** KEYS: sessions. ARGV: id, milliseconds to the end, most sessions, 'oldest' or 'refuse'. Returns 'full', or 'entered' and the evicted. */
export const enterScript = new Script(`${index}
local now = nowMs()
local alive, latest = {}, now + tonumber(ARGV[2])
for _, session in ipairs(sessions()) do
  local ends = session.state == 'P' and session.entered + ${enterMs} or session.ends
  if ends <= now then redis.call('HDEL', key, session.sid)
  else
    latest = math.max(latest, session.ends)
    if session.state ~= 'D' then alive[#alive + 1] = session end
  end
end
if #alive >= tonumber(ARGV[3]) and ARGV[4] == 'refuse' then return { 'full' } end
table.sort(alive, function(a, b) return a.entered < b.entered end)
local evicted = { 'entered' }
for i = 1, #alive - tonumber(ARGV[3]) + 1 do
  alive[i].state = 'D'
  put(alive[i])
  evicted[#evicted + 1] = alive[i].sid
end
put({ sid = ARGV[1], state = 'P', ends = now + tonumber(ARGV[2]), entered = now })
redis.call('PEXPIRE', key, text(latest - now))
return evicted
`)

/** KEYS: sessions. ARGV: id. Returns 1, or 0. */
export const activateScript = new Script(`${index}
local value = redis.call('HGET', key, ARGV[1])
if not value or string.sub(value, 1, 1) ~= 'P' then return 0 end
redis.call('HSET', key, ARGV[1], 'A' .. string.sub(value, 2))
return 1
`)

/** KEYS: sessions. ARGV: id to leave alone, or ''. Returns the ids of all doomed ones. */
export const doomScript = new Script(`${index}
local doomed = {}
for _, session in ipairs(sessions()) do
  if session.sid ~= ARGV[1] or session.state == 'D' then
    if session.state ~= 'D' then
      session.state = 'D'
      put(session)
    end
    doomed[#doomed + 1] = session.sid
  end
end
return doomed
`)
