// The script that records an invalidation by an unsafe request in one step.
import { bucketCount } from '../../purge/invalidation.ts'
import { common, recordBytes } from './scripts.ts'
import { Script } from '../connect/script.ts'

/**
 * Appends an invalidation as a purge is appended: once, however often it is repeated, and not at all after its deadline.
 *
 * KEYS: log, unsafe, buckets. ARGV: identity for a new log, invalidation, its buckets, most records of the log, most records
 * and most bytes of this stream, name of this append, last id of the log before it, deadline by the clock of Redis, attempt,
 * a random number below `saltLimit`. Returns the id of the record and the identity of the log, or nothing if it was too
 * late.
 */
export const invalidateScript = new Script(`${common}
local log, unsafe, buckets = unpack(KEYS)
local fresh, invalidation, at, mostOfLog, most, bytes, name, from, deadline, attempt, salt = unpack(ARGV)
if tonumber(attempt) > 1 and redis.call('TYPE', unsafe).ok == 'stream' then
  for _, record in ipairs(redis.call('XRANGE', unsafe, from, '+')) do
    if field(record, 'name') == name then return { record[1], identity(record) } end
  end
end
if now() > tonumber(deadline) then return {} end
local last = open(log, fresh)
redis.call('XTRIM', log, 'MAXLEN', '~', mostOfLog) -- a write that frees memory comes first: see append
if not unsafeIsWhole(log, unsafe, buckets, last) then last = beginAnew(log, fresh) end
local newest = lastUnsafe(unsafe, buckets, identity(last))
if not newest or field(firstUnsafe(unsafe), 'prev') == '' then redis.call('UNLINK', buckets) end -- no record was dropped yet
local sum = (newest and tonumber(field(newest, 'sum')) or 0) + #invalidation + #at + ${recordBytes}
local left = redis.call('XLEN', unsafe)
for page = 1, 8 do
  local gone = {}
  local oldest = redis.call('XRANGE', unsafe, '-', '+', 'COUNT', 64)
  for _, record in ipairs(oldest) do
    if left < tonumber(most) and sum - (tonumber(field(record, 'sum')) or 0) <= tonumber(bytes) then break end
    local ms, number = record[1]:match('^(%d+)-(%d+)$')
    local place = struct.pack('>I6I6', tonumber(ms), tonumber(number))
    for bucket in (field(record, 'at') or ''):gmatch('%d+') do
      if tonumber(bucket) < ${bucketCount} then redis.call('SETRANGE', buckets, tonumber(bucket) * 12, place) end
    end
    gone[#gone + 1] = record[1]
    left = left - 1
  end
  if #gone > 0 then redis.call('XDEL', unsafe, unpack(gone)) end
  if #gone < #oldest or #oldest == 0 then break end
end
local id = nextId(log, salt)
redis.call('XADD', unsafe, id, 'log', identity(last), 'prev', newest and newest[1] or '', 'unsafe', invalidation, 'at', at, 'name', name, 'sum', string.format('%.0f', sum))
redis.call('XSETID', log, id)
return { id, identity(last) }
`)
