// Operations on a lease that must be one step in Redis: take, renew, release.
import { publishing, Script } from '../connect/script.ts'

// A lease is a hash: its holder (token), the purge log's position at the start of its fetch (stamp), and a field `w:<name>`
// for each process that waits. After a release with followers, their outcome stays for a moment (`told`).

/** The most fields of one lease: processes that wait for it, and three others. Beyond it a process fetches for itself. */
export const mostLeaseFields = 1000

/** Begins the message to a holder for which another process waits; its token follows. */
export const awaitedWord = 'awaited'

// Longer than any token or stamp that a process writes.
const longestWord = 300

/**
 * Every lease of a process has a time to live, at most as long as the lease of a process that waits. Another one was written
 * by a foreign program, or by a process with longer leases, which renews it. It gets the time of a lease, so that it ends,
 * and no process waits longer than that. A hash without a holder, or without a position in the purge log, is no lease.
 *
 * The first process that waits for a holder notifies the holder's process.
 *
 * KEYS: lease, entry. ARGV: token, stamp, milliseconds to live, process, outcome that is accepted instead, token to steal
 * from ('': none), prefix of the channels. Returns 'acquired', whether the entry exists, and how many processes wait;
 * 'knownUncacheable'; 'unavailable'; or 'heldElsewhere', token, stamp, milliseconds left.
 */
export const takeScript = new Script(`${publishing}
local lease, entry = KEYS[1], KEYS[2]
local token, stamp, ttl, process, acceptsOutcome, stealFrom, channels = unpack(ARGV)
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
  local waits = redis.call('HLEN', lease) - 2 - (now[3] and 1 or 0)
  redis.call('HSET', lease, 'w:' .. process, '')
  -- A holder that knows of one waiting process needs no more messages.
  local holderProcess = waits == 0 and now[1]:match('^(.+)%.%d+$')
  if holderProcess then publish(channels .. holderProcess, '${awaitedWord} ' .. now[1]) end
  return answer({ 'heldElsewhere', now[1], now[2], left })
end
if full or (now[1] and not holder) then redis.call('UNLINK', lease) end
-- The followers of the previous holder now wait for this one.
redis.call('HSET', lease, 'token', token, 'stamp', stamp)
redis.call('PEXPIRE', lease, ttl)
local waits = redis.call('HLEN', lease) - 2 - (now[3] and 1 or 0)
return { 'acquired', redis.call('EXISTS', entry), waits }
`)

/**
 * KEYS: lease. ARGV: token, milliseconds to live. Returns 1, or 2 if a process waits for it; 0 if another process holds it.
 */
export const renewScript = new Script(`
local lease = KEYS[1]
if redis.call('HGET', lease, 'token') ~= ARGV[1] or redis.call('PEXPIRE', lease, ARGV[2]) == 0 then return 0 end
local told = redis.call('HGET', lease, 'told') and 1 or 0
return redis.call('HLEN', lease) - 2 - told > 0 and 2 or 1
`)

/**
 * Releases a lease and notifies each waiting process on its channel; without such processes nothing is published. KEYS:
 * lease. ARGV: token, message, prefix of the channels, outcome to leave behind ('': none), for how many milliseconds. The
 * outcome is left behind only if a process waited: then more requests may follow.
 */
export const releaseScript = new Script(`${publishing}
local lease = KEYS[1]
local token, message, channels, told, ttl = unpack(ARGV)
if redis.call('HGET', lease, 'token') ~= token then return 0 end
local waiting = {}
-- More fields than possible: then no process is notified, and the waiting ones find the lease released.
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
