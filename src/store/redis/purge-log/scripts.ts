// Operations on the log that must be one step in Redis: append, follow, and count the followers.
import { publishing, Script } from '../connect/script.ts'
import { unsafeFunctions } from './unsafe-functions.ts'

// Fields among the registrations that are not names of replicas. `!lost`: until when replicas with lost registrations may
// live. `!clock`: Redis' time when a script last checked the registrations.
const lostField = '!lost'
const clockField = '!clock'
// `!lag`: the longest time that any replica uses its knowledge; their settings may differ.
const lagField = '!lag'
// No replica uses it for longer: coherence.maxLagMs is at most a minute.
const mostLagMs = 60_000

// A registration may expire this much too soon, or a little less, without harm: its replica counts for `lag + 2000` ms
// longer than it uses its knowledge (log.ts).
const slackMs = 1000
// Replicas check the registrations every second. After a longer silence each registration is checked.
const silenceMs = 2000
// How long the registrations are kept if no replica has set a time yet.
const keepMs = 60_000

// The approximate size of a record beside the purge itself: ids, names of fields, their share of the stream's nodes.
export const recordBytes = 200

/** An append draws a number below this for its id. */
export const saltLimit = 1_000_000
// The second part of an id has six digits of base 36 in a stamp (record.ts).
const mostNumber = 2_000_000_000

// `open` returns the last record, and begins a new log if there is none. A record holds the identity of its log and the id
// of the previous record (none for the first). So nothing about the log is stored elsewhere, where it could be lost alone. A
// record without an identity is foreign. A log that ends with one cannot be followed from there, so a new log begins after
// it.
export const common = `
local function field(record, name)
  for i = 1, #record[2], 2 do
    if record[2][i] == name then return record[2][i + 1] end
  end
  return nil
end
local function identity(record) return field(record, 'log') or '' end
local function open(log, fresh)
  local kind = redis.call('TYPE', log).ok
  if kind ~= 'stream' and kind ~= 'none' then redis.call('UNLINK', log) end
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if last and identity(last):match('^%w+$') then return last end
  redis.call('XTRIM', log, 'MAXLEN', 0) -- nothing to trim; but after a write that frees memory, one that adds is accepted (see append)
  redis.call('XADD', log, '*', 'log', fresh, 'before', '', 'purge', '')
  return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
end
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function whole(number) return string.format('%.0f', number) end
${unsafeFunctions}
-- The id of the next record of either stream. Its second part is random: a failover may lose the last record. If its id were
-- used again, a replica that has applied the lost record would take the new one for it. If the clock is behind the last id,
-- the number increases instead.
local function nextId(log, salt)
  local ms, number = lastGiven(log):match('^(%d+)-(%d+)$')
  ms, number = tonumber(ms), tonumber(number)
  if now() > ms then return whole(now()) .. '-' .. salt end
  number = number + 1 + tonumber(salt) % 1000
  if number > ${mostNumber} then return whole(ms + 1) .. '-' .. salt end
  return whole(ms) .. '-' .. whole(number)
end
`

// Registrations end by the clock of Redis, which may be set, or be another clock after a failover. `tend` is called before
// any registration is counted or renewed. A registration holds: stamp applied, end, time to live, longest lag of the
// replica.
// - The clock was set back: an end is further ahead than its time to live allows, and is reduced to that. Otherwise a
//   replica that has died would count for as long as the clock was set back.
// - The clock was set forward: more time passed since the last check than registrations can spare. A replica may still use
//   its knowledge when its registration has expired, so the registrations count as lost. The same holds for the mark.
const registrations = `
local function registration(value)
  local stamp, ends, ttl, lag = value:match('^(%S*) (%d+) (%d+) (%d+)$')
  if not stamp then return nil end
  return { stamp = stamp, ends = tonumber(ends), ttl = tonumber(ttl), lag = tonumber(lag) }
end
-- Returns the longest time that any replica uses its knowledge. A clock that was set forward may be set again unnoticed, so
-- marks for that last a little longer.
local function tend(replicas, me, lag)
  local kind = redis.call('TYPE', replicas).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', replicas) end
  -- First: later commands must not fail for lack of memory (see append). A read-only server refuses every write.
  local left = redis.call('PTTL', replicas)
  redis.pcall('PEXPIRE', replicas, whole(left > 0 and left or ${keepMs}))
  local time = now()
  local last = tonumber(redis.call('HGET', replicas, '${clockField}') or '')
  redis.pcall('HSET', replicas, '${clockField}', whole(time))
  local longest = math.min(tonumber(redis.call('HGET', replicas, '${lagField}') or '') or 0, ${mostLagMs})
  if longest < lag then
    longest = lag
    redis.pcall('HSET', replicas, '${lagField}', whole(longest))
  end
  if left < 0 then redis.pcall('PEXPIRE', replicas, ${keepMs}) end
  if not last or (time >= last and time - last <= ${silenceMs}) then return longest end
  local unnamed = longest + ${silenceMs}
  local gap = time - last
  local lostUntil = 0
  local all = redis.call('HGETALL', replicas)
  for i = 1, #all, 2 do
    local one = registration(all[i + 1])
    if all[i] == '${lostField}' then
      local ends = tonumber(all[i + 1]) or 0
      if ends > time + unnamed then redis.pcall('HSET', replicas, '${lostField}', whole(time + unnamed)) end
      if gap > ${slackMs} and ends >= last then lostUntil = time + unnamed end
    elseif one and one.ends > time + one.ttl then
      redis.pcall('HSET', replicas, all[i], one.stamp .. ' ' .. whole(time + one.ttl) .. ' ' .. whole(one.ttl) .. ' ' .. whole(one.lag))
    elseif one and all[i] ~= me and gap > one.ttl - one.lag - ${slackMs} and one.ends >= last and one.ends < time + one.lag then
      lostUntil = time + unnamed
    end
  end
  if lostUntil > 0 then redis.pcall('HSET', replicas, '${lostField}', whole(lostUntil)) end
  return longest
end
`

/** Starts an append. KEYS: log. ARGV: identity for a new log. Returns the time by the clock of Redis, and the last id. */
export const beginScript = new Script(`${common}
return { string.format('%.0f', now()), open(KEYS[1], ARGV[1])[1] }
`)

/**
 * Appends a purge: once, however often it is repeated, and not at all after its deadline. A command that its sender has
 * given up may still run, and must then do nothing.
 *
 * KEYS: log, unsafe, buckets. ARGV: identity for a new log, purge, most records, milliseconds to keep a record (0: no
 * limit), most bytes, name of this append, last id before it, deadline by the clock of Redis, attempt, a random number below
 * `saltLimit`. Returns the id of the record and the identity of the log, or nothing if it was too late.
 */
export const appendScript = new Script(`${common}
local log, unsafe, buckets = unpack(KEYS)
local fresh, purge, most, keep, bytes, by, name, from, deadline, attempt, salt = unpack(ARGV)
if tonumber(attempt) > 1 and redis.call('TYPE', log).ok == 'stream' then
  for _, record in ipairs(redis.call('XRANGE', log, from, '+')) do
    if field(record, 'name') == name then return { record[1], identity(record) } end
  end
end
if now() > tonumber(deadline) then return {} end
local last = open(log, fresh)
-- Room is made first: after a write that frees memory, the next one is accepted even if memory is full (maxmemory with
-- noeviction). So a Redis that is full of entries can still record purges.
redis.call('XTRIM', log, 'MAXLEN', '~', most)
local sum = (tonumber(field(last, 'sum')) or 0) + #purge + #by + ${recordBytes}
-- Redis before 6.2 cannot trim by id: its log is bounded only by the number of records.
local function trim(id) return type(redis.pcall('XTRIM', log, 'MINID', '=', id)) == 'number' end
local count = 1
for page = 1, 64 do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', count)
  local over = #oldest
  for i, record in ipairs(oldest) do
    if sum - (tonumber(field(record, 'sum')) or 0) <= tonumber(bytes) then over = i - 1 break end
  end
  if over == 0 then break end
  -- The last record stays, because the log continues from it.
  local first = oldest[over + 1] or oldest[over]
  if count > 1 and (not trim(first[1]) or first[1] == last[1] or over < #oldest) then break end
  count = 64
end
if not unsafeIsWhole(log, unsafe, buckets, last) then last = beginAnew(log, fresh) end
local newest = lastUnsafe(unsafe, buckets, identity(last))
local id = redis.call('XADD', log, nextId(log, salt), 'log', identity(last), 'before', last[1], 'purge', purge, 'name', name, 'sum', whole(sum), 'unsafe', newest and newest[1] or '', 'by', by)
if tonumber(keep) > 0 then
  redis.pcall('XTRIM', log, 'MINID', '~', string.format('%.0f', math.max(0, now() - tonumber(keep))))
end
return { id, identity(last) }
`)

/**
 * Reads on from the last applied record, and registers the reader with what it has applied. Both are one step, so that every
 * reader has been counted.
 *
 * KEYS: log, replicas, unsafe, buckets. ARGV: replica, identity of the followed log ('': none yet), last id applied, the
 * name of that record, its stamp, identity for a new log, time to live of the registration, most records, channel, whether a
 * registration of the reader cannot have expired ('1'), the longest time that the reader uses its knowledge, the same of any
 * replica that it knows of, the id and name of the last applied invalidation ('': none).
 *
 * Returns whether the records continue what was applied (1) or begin anew (0), the records, the invalidations, and the
 * longest time that any replica uses its knowledge. The reader passes the latter next time: if the registrations are lost,
 * only replicas know it.
 */
export const followScript = new Script(`${common}${registrations}${publishing}
local log, replicas, unsafe, buckets = unpack(KEYS)
local me, followed, applied, name, stamp, fresh, ttl, most, channel, counted, lag, longest, invalidated, invalidation = unpack(ARGV)
ttl, lag = tonumber(ttl), tonumber(lag)
longest = tend(replicas, me, math.max(lag, tonumber(longest)))
local function lost() redis.call('HSET', replicas, '${lostField}', whole(now() + longest)) end
local registered = redis.call('HGET', replicas, me)
redis.call('PEXPIRE', replicas, ttl * 10) -- first: registering must not fail for lack of memory (see append)
-- It was registered, and nothing removed it: the registrations were lost. Other replicas may live that cannot be named.
if not registered and counted == '1' then lost() end

local last = open(log, fresh)
local same = followed ~= '' and followed == identity(last)
-- The id alone is no proof: the record may have been lost, and its id used again.
local at = same and redis.call('XRANGE', log, applied, applied)[1]
local here = at and (field(at, 'name') or '') == name
local place = here and placeInUnsafe(unsafe, buckets, followed, invalidated, invalidation)
local continues = place == 'there'
-- If the log does not continue what was applied, nothing of this log is applied yet: no purge may count it.
if not continues then stamp = '' end
redis.call('HSET', replicas, me, stamp .. ' ' .. whole(now() + ttl) .. ' ' .. whole(ttl) .. ' ' .. whole(lag))
redis.call('PEXPIRE', replicas, ttl * 10)
if not registered or registered:match('^%S*') ~= stamp then publish(channel, me) end
-- The log is another one, and the registrations were lost with the previous one: its followers still use it for a while.
if not registered and followed ~= '' and not same then lost() end
if continues then
  local records = redis.call('XRANGE', log, applied, '+', 'COUNT', tonumber(most) + 1)
  table.remove(records, 1)
  return answer({ 1, records, redis.call('XRANGE', unsafe, invalidated == '' and '-' or invalidated, '+', 'COUNT', tonumber(most) + 1), longest })
end
if place == 'lost' then
  beginAnew(log, fresh)
elseif followed ~= '' and not same and identity(last) < followed then
  -- An older log has come back: from a snapshot, or by a failover that lost the beginning of the followed one. It lacks
  -- every later purge, and entries stamped by it may have come back too.
  beginAnew(log, fresh)
elseif same and not here then
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  -- The last applied record, which may have been acknowledged, is missing, and older records exist: the end was lost (a
  -- failover). Other replicas may not know it, so no entry stamped until now may live.
  if at or not earlier(applied, first[1]) then beginAnew(log, fresh) end
end
if not unsafeIsWhole(log, unsafe, buckets, open(log, fresh)) then beginAnew(log, fresh) end
return answer({ 0, redis.call('XRANGE', log, '-', '+', 'COUNT', most), {}, longest })
`)

/**
 * Lists live replicas. KEYS: replicas. ARGV: replica that calls, the longest time that it uses its knowledge. Returns
 * whether others may live that are not named ('1', or ''), then name, stamp, name, stamp…
 */
export const replicasScript = new Script(`${common}${registrations}
tend(KEYS[1], ARGV[1], tonumber(ARGV[2]))
local live = { '' }
local all = redis.call('HGETALL', KEYS[1])
local time = now()
for i = 1, #all, 2 do
  local one = registration(all[i + 1])
  if all[i] == '${lostField}' and tonumber(all[i + 1]) and tonumber(all[i + 1]) >= time then
    live[1] = '1'
  elseif one and one.ends >= time then
    live[#live + 1] = all[i]
    live[#live + 1] = one.stamp
  elseif all[i] ~= '${clockField}' and all[i] ~= '${lagField}' then
    redis.pcall('HDEL', KEYS[1], all[i])
  end
end
return live
`)
