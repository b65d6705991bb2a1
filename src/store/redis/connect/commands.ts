// The Redis commands that this program uses, what fails without each, and a script that tries them.
import { Script } from './script.ts'

const nothingWorks = 'nothing is stored, no purge is recorded, and every request goes to the origin'
const nothingFound = 'nothing that is stored is ever found'
const nothingStored = 'nothing new is stored, and nothing is renewed'
const noLog = 'no purge is recorded, and every request goes to the origin'
const noInvalidations = 'invalidations by unsafe requests are not recorded for other replicas, and apply in this process alone'
const noLeases = 'processes do not wait for each other: each fetches for itself'
const notListed = 'stored responses cannot be listed'
const noFleetNumbers = 'the numbers of other replicas are not known'
const notCopied = 'a purge does not wait until a Redis replica has it, and a failover may lose it'

const costs: Readonly<Record<string, string>> = {
  keys: nothingWorks,
  channels: 'replicas receive no messages from each other: memory is not used while Redis is in reach, and each process fetches for itself',
  EVALSHA: nothingWorks,
  EVAL: nothingWorks,
  HVALS: nothingFound,
  HLEN: nothingFound,
  GET: 'bodies of more than 16 KiB are not found',
  STRLEN: 'bodies of more than 1 MiB are not found',
  SET: 'bodies of more than 16 KiB are not stored',
  TYPE: nothingWorks,
  HGET: nothingStored,
  HGETALL: nothingStored,
  HSET: nothingStored,
  HDEL: 'expired entries are not replaced',
  PEXPIRE: nothingStored,
  PTTL: 'replaced entries take room until they expire, bodies of more than 16 KiB are not renewed, and no process waits for another',
  UNLINK: 'nothing is removed before it expires, and processes that wait for a fetch wait until its lease ends',
  HMGET: noLeases,
  HKEYS: 'processes that wait for a fetch wait until its lease ends',
  EXISTS: noLeases,
  XADD: noLog,
  XRANGE: noLog,
  XREVRANGE: noLog,
  XTRIM: noLog,
  TIME: noLog,
  'XINFO|STREAM': noLog,
  XLEN: noInvalidations,
  XDEL: noInvalidations,
  XSETID: noInvalidations,
  SETRANGE: noInvalidations,
  GETRANGE: 'the purge log cannot be read after a start, and every request goes to the origin',
  XREAD: 'the purge log is read ten times a second instead of when there is something to read, and purges take that much longer',
  PUBLISH:
    'other replicas are not notified when this one replaces or purges entries: they may serve fresh responses that are not the latest, and processes that wait for a fetch wait until its lease ends',
  SUBSCRIBE: 'this replica is not notified when others replace entries: memory is not used while Redis is in reach, and it does not wait for fetches of others',
  MGET: noFleetNumbers,
  BITFIELD: 'the history of all replicas is not kept',
  SCAN: notListed,
  ROLE: notCopied,
  WAIT: notCopied,
  'CLUSTER|SLOTS': 'the cluster is out of reach',
  INFO: 'an unfit maxmemory-policy is not noticed',
  PING: 'a connection that dies silently is not noticed',
}

/** Returns what fails without a command, as the end of a sentence. */
export function costOf(command: string): string {
  return costs[command] ?? 'features that need it do not work'
}

/** Every command that is named in `costOf`. */
export const commands: readonly string[] = Object.keys(costs).filter(name => /^[A-Z]+$/.test(name))

/**
 * Runs the commands of scripts and calls on a separate key, which it removes. Commands that a script may not run (SCAN,
 * INFO, WAIT) are left out.
 *
 * KEYS: key. ARGV: channel. Returns name and error of each command that failed, for any reason.
 */
export const probeScript = new Script(`
local key = KEYS[1]
local failed = {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  if type(reply) == 'table' and reply.err then
    failed[#failed + 1] = name
    failed[#failed + 1] = reply.err
  end
end
try('UNLINK', key)
try('HSET', key, 'field', '')
try('PEXPIRE', key, 1000)
try('PTTL', key)
try('TYPE', key)
try('EXISTS', key)
try('HLEN', key)
try('HGET', key, 'field')
try('HMGET', key, 'field')
try('HGETALL', key)
try('HVALS', key)
try('HKEYS', key)
try('HDEL', key, 'field')
try('SET', key, '', 'PX', 1000)
try('GET', key)
try('STRLEN', key)
try('MGET', key)
redis.pcall('UNLINK', key)
try('BITFIELD', key, 'INCRBY', 'i64', '#0', 1)
redis.pcall('UNLINK', key)
try('SETRANGE', key, 0, 'x')
try('GETRANGE', key, 0, 0)
redis.pcall('UNLINK', key)
try('XADD', key, '*', 'field', '')
redis.pcall('PEXPIRE', key, 1000)
try('XRANGE', key, '-', '+', 'COUNT', 1)
try('XREVRANGE', key, '+', '-', 'COUNT', 1)
try('XREAD', 'COUNT', 1, 'STREAMS', key, '0')
try('XINFO', 'STREAM', key)
try('XLEN', key)
try('XDEL', key, '1-1')
try('XTRIM', key, 'MAXLEN', 0)
try('XSETID', key, '99999999999999-0')
redis.pcall('UNLINK', key)
try('TIME')
try('PUBLISH', ARGV[1], '')
return failed
`)
