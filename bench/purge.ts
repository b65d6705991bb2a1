// The cost of a purge of one tag on a million entries, with three replicas to acknowledge it: npm run bench -- --only purge.
import { Redis } from 'ioredis'
import { systemClock } from '../src/clock.ts'
import { callsSince, commandCalls, targetOf, writeEntries } from '../test/support/many-entries.ts'
import { startRedis } from '../test/support/redis.ts'
import { adminToken, type Contestant, startSpringhouse } from './contestants.ts'
import { median } from './table.ts'

const replicas = 3
const storedBody = Buffer.alloc(300, 'x')

type Replica = Awaited<ReturnType<typeof startSpringhouse>>

interface Receipt {
  readonly status: number
  readonly ms: number
  readonly live: number
  readonly acknowledged: number
}

async function admin<T>(replica: Replica, path: string, body?: unknown): Promise<{ status: number; json: T }> {
  const response = await fetch(replica.admin + path, {
    headers: { Authorization: `Bearer ${adminToken}`, 'Content-Type': 'application/json' },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  })
  return { status: response.status, json: await response.json() as T }
}

const authority = 'api.example.com'

interface Explained {
  readonly key: string
  readonly variants: readonly { readonly verdict: string }[]
}

/** Returns a replica's entries for a URL, with the verdict of the purges. */
async function explained(replica: Replica, entry: number): Promise<Explained> {
  return (await admin<Explained>(replica, `/v1/explain?url=${encodeURIComponent(`http://${authority}${targetOf(entry)}`)}`)).json
}

/** MiB of heap in use in a replica, from its own metrics. */
async function heap(replica: Replica): Promise<number> {
  const response = await fetch(`${replica.admin}/metrics`, { headers: { Authorization: `Bearer ${adminToken}` } })
  return Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(await response.text())?.[1]) / 1_048_576
}

export async function purges(origin: Contestant, entries: number, rounds: number): Promise<string> {
  const server = await startRedis({ args: ['--maxmemory', '0'] })
  const redis = new Redis(server.url)
  const all: Replica[] = []
  for (let i = 0; i < replicas; i++) all.push(await startSpringhouse(origin, { name: 'springhouse', redis: server.url, env: {} }))
  const [first] = all as [Replica, ...Replica[]]
  const { json } = await admin<{ purgeLog: { applied: string } }>(first, '/v1/stats')
  const { key } = await explained(first, 0)
  await writeEntries(redis, {
    count: entries,
    prefix: 'sh',
    authority,
    firstKey: key,
    tags: ['everything'],
    stamp: json.purgeLog.applied,
    body: storedBody,
    nowMs: systemClock.now(),
    written: count => {
      if (count % 100_000 === 0) console.log(`  ${count} of ${entries} entries written`)
    },
  })
  if ((await explained(first, entries - 1)).variants[0]?.verdict !== 'valid') throw new Error('the entries that were written are not those that are looked up')
  const stored = await redis.dbsize()
  const usedMiB = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]) / 1_048_576
  await redis.config('SET', 'latency-monitor-threshold', '1')
  await redis.config('SET', 'slowlog-log-slower-than', '1000')
  await redis.call('SLOWLOG', 'RESET')
  await redis.call('LATENCY', 'RESET')
  const before = await commandCalls(redis)
  const logBefore = Number(await redis.memory('USAGE', 'sh:{log}', 'SAMPLES', 0))
  const memoryBefore = await Promise.all(all.map(heap))
  const receipts: Receipt[] = []
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    const { status, json: { replicas: { live, acknowledged } } } = await admin<{ replicas: { live: number; acknowledged: number } }>(all[round % replicas] as Replica, '/v1/purge',
      { tags: ['everything'] })
    receipts.push({ status, ms: performance.now() - began, live, acknowledged })
  }
  const after = await commandCalls(redis)
  const slow = await redis.call('SLOWLOG', 'GET', '128') as [number, number, number, string[]][]
  // Commands of the bench itself are not on the request path.
  const theirs = slow.filter(([, , , [command = '']]) => !/^(?:info|slowlog|latency|memory|config)$/i.test(command))
  const slowestMs = Math.max(0, ...theirs.map(([, , micros]) => micros / 1000))
  const latency = await redis.call('LATENCY', 'LATEST') as [string, number, number, number][]
  const logAfter = Number(await redis.memory('USAGE', 'sh:{log}', 'SAMPLES', 0))
  const records = await redis.xlen('sh:{log}')
  const memoryAfter = await Promise.all(all.map(heap))
  const dead = (await explained(first, entries - 1)).variants[0]?.verdict === 'dead'
  redis.disconnect()
  await server.stop()

  const times = receipts.map(({ ms }) => ms).sort((a, b) => a - b)
  const p99 = times[Math.min(times.length - 1, Math.floor(times.length * 0.99))] as number
  const whole = receipts.filter(({ status, live, acknowledged }) => status === 200 && live === replicas && acknowledged === replicas).length
  const grown = [...callsSince(before, after)]
  const scans = grown.filter(([name]) => name === 'keys' || name === 'scan' || name === 'hscan' || name === 'sscan')
  const met = (reached: boolean): string => reached ? 'reached' : 'MISSED'
  return [
    '## A purge of one tag, and three replicas',
    '',
    `${stored.toLocaleString('en-US')} keys in Redis (${usedMiB.toFixed(0)} MiB), each entry with the tag; ${rounds} purges of it, one after the other, at each replica in turn.`,
    '',
    '| | measured | target |',
    '|---|---:|---|',
    `| median until acknowledged by all three, ms | ${median(times).toFixed(1)} | ≤ 50: ${met(median(times) <= 50)} |`,
    `| p99, ms | ${p99.toFixed(1)} | |`,
    `| status 200 with 3 of 3 | ${whole} of ${rounds} | all: ${met(whole === rounds)} |`,
    `| slowest command of theirs in Redis, ms | ${slowestMs === 0 ? 'under 1' : slowestMs.toFixed(1)} | ≤ 5: ${met(slowestMs <= 5)} |`,
    `| latency monitor (over 1 ms) | ${latency.length === 0 ? 'nothing' : latency.map(([event, , , most]) => `${event} ${most} ms`).join(', ')} | |`,
    `| KEYS and SCAN issued | ${scans.length === 0 ? 'none' : scans.map(([name, count]) => `${name} ${count}`).join(', ')} | none: ${met(scans.length === 0)} |`,
    `| commands a purge | ${grown.map(([name, count]) => `${name} ${(count / rounds).toFixed(1)}`).join(', ')} | |`,
    `| bytes of the log for a purge | ${((logAfter - logBefore) / rounds).toFixed(0)} (${records} records) | |`,
    `| growth of a replica's heap, MiB, garbage included | ${memoryAfter.map((mib, i) => (mib - (memoryBefore[i] as number)).toFixed(1)).join(', ')} | |`,
    `| an entry with the tag is a miss afterwards | ${dead ? 'yes' : 'NO'} | yes: ${met(dead)} |`,
    '',
  ].join('\n')
}
