// What must happen to a lease in Redis in one step: taking it, renewing it, giving it back.
import { publishing, Script } from '../connect/script.ts'

// A lease is a hash: who holds it (token), where the purge log stood when its fetch began (stamp), and a field `w:<name>`
// for each process that waits. When one was given back to those who waited, what they were told stays for a moment (told).

/** Fields of one lease at the most: processes that wait for it, and the three others. Beyond it a process asks for itself. */
export const mostLeaseFields = 1000

// Longer than any token or stamp that a process writes.
const longestWord = 300

/**
 * Nothing that a process writes is without a time to live, or lives longer than the lease of one that waits: what does was
 * written by another hand (or by a process with a longer lease, which renews it). It is given the time of a lease, so that
 * it ends, and nobody waits for longer than that. What has no holder, or no place in the purge log, is no lease.
 *
 * KEYS: lease, entry. ARGV: token, stamp, milliseconds to live, process, outcome that would do instead, token that is taken
 * from ('': none). Returns 'acquired' and whether the entry is there; 'knownUncacheable'; 'unavailable'; or 'heldElsewhere', token, stamp, milliseconds
 * left.
 */
export const takeScript = new Script(`
local lease, entry = KEYS[1], KEYS[2]
local token, stamp, ttl, process, acceptsOutcome, stealFrom = unpack(ARGV)
local function word(v) return v and v ~= '' and #v <= ${longestWord} end
local kind = redis.call('TYPE', lease).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', lease) end
local left = redis.call('PTTL', lease)
if left == -1 or left > tonumber(ttl) then
  redis.call('PEXPIRE', lease, ttl)
  left = tonumber(ttl)
end
local now = redis.call('HMGET', lease, 'token', 'stamp', 'told')
if now[3] == acceptsOutcome then return { 'knownUncacheable' } end
local full = redis.call('HLEN', lease) >= ${mostLeaseFields}
local holder = word(now[1]) and word(now[2])
if holder and now[1] ~= stealFrom then
  if full then return { 'unavailable' } end
  redis.call('HSET', lease, 'w:' .. process, '')
  return { 'heldElsewhere', now[1], now[2], left }
end
if full or (now[1] and not holder) then redis.call('UNLINK', lease) end
-- Whoever waited for the one before waits for this one.
redis.call('HSET', lease, 'token', token, 'stamp', stamp)
redis.call('PEXPIRE', lease, ttl)
return { 'acquired', redis.call('EXISTS', entry) }
`)

/** KEYS: lease. ARGV: token, milliseconds to live. Answers 1, or 0 when it is another's by now. */
export const renewScript = new Script(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

/**
 * Gives a lease back, and tells each process that waits, on its own channel: where nobody waits nothing is published.
 * KEYS: lease. ARGV: token, message, what the channels begin with, outcome to leave behind ('': none), for how many
 * milliseconds. What is left behind is so only if somebody waited: then more may be on their way.
 */
export const releaseScript = new Script(`${publishing}
local lease = KEYS[1]
local token, message, channels, told, ttl = unpack(ARGV)
if redis.call('HGET', lease, 'token') ~= token then return 0 end
local waiting = {}
-- More than there can be: then nobody is told, and whoever waits finds the lease gone.
local fields = redis.call('HLEN', lease) <= ${mostLeaseFields} and redis.call('HKEYS', lease) or {}
for _, field in ipairs(fields) do
  if field:sub(1, 2) == 'w:' then waiting[#waiting + 1] = field:sub(3) end
end
redis.call('UNLINK', lease)
if #waiting > 0 and told ~= '' then
  redis.call('HSET', lease, 'told', told)
  redis.call('PEXPIRE', lease, ttl)
end
for _, process in ipairs(waiting) do publish(channels .. process, message) end
return answer(1)
`)
