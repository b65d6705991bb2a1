// The cost of the numbers of 200 replicas to Redis: commands a second by its own count, and bytes. The reports are simulated in time.
import { Redis } from 'ioredis'
import t from 'tap'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { requestOutcomes } from '../../src/exchange/client/outcome.ts'
import { Fleet } from '../../src/observe/fleet.ts'
import { maxReportBytes, readReport, writeReport, type FleetReport } from '../../src/observe/fleet-report.ts'
import { rowData, rowLength, sums } from '../../src/observe/history.ts'
import { Latency, mergedLatency } from '../../src/observe/latency.ts'
import { notStoredReasons, requestReasons } from '../../src/policy/reasons.ts'
import { Random } from '../coherence/random.ts'
import { manualClock } from '../support/manual-clock.ts'
import { memoryLog } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'

const chance = new Random(3)

/** A report of a process under load: latencies of all outcomes, and many reasons. */
function busyReport(clock: { now(): number }, spread: number): FleetReport {
  const latency = Object.fromEntries(requestOutcomes.map((outcome) => {
    const counted = new Latency()
    for (let i = 0; i < 2_000; i++) counted.record(0.05 * spread ** chance.next())
    for (let i = 0; i < counted.counts.length; i++) counted.counts[i] = (counted.counts[i] as number) * 5_000
    return [outcome, counted.data()]
  }))
  const row = new Float64Array(rowLength)
  for (let i = 0; i < row.length; i++) row[i] = i < sums.length ? Math.floor(1e9 * chance.next()) : Math.floor(3_000 * chance.next())
  const counters = new Counters().snapshot()
  const some = (names: readonly string[]): Record<string, number> => Object.fromEntries(names.map((name) => [name, Math.floor(1e7 * chance.next())]))
  return {
    atMs: clock.now(),
    process: { host: 'web-17.example.internal', pid: 12_345, version: '0.1.0', startedMs: clock.now(), state: 'ok', lagMs: 12, memoryBytes: 1e9, requestsPerSecond: 1234.5,
      hitRatio: 0.9412, p99Ms: 1.2 },
    counters: { ...counters, requests: 1e9, outcomes: some(requestOutcomes) as typeof counters.outcomes, requestsByReason: some(requestReasons.slice(0, 20)),
      notStoredByReason: some(notStoredReasons.slice(0, 8)) as typeof counters.notStoredByReason },
    store: { kind: 'tiered', entries: 1e6, bytes: 1e9, maxBytes: 1e9, evictions: 1e6, degraded: [] },
    traffic: { bytesToClients: 1e12, bytesSaved: 1e12, bytesRelayed: 1e11, bytesFromOrigins: 1e11, latency, step: [170_000_000, ...rowData(row)] },
  }
}

// The guard: writeReport widens the buckets of a report that is too long.
t.test('a report has at most 4 KiB, however wide its latencies are spread, and loses no count', async test => {
  const clock = manualClock()
  for (const spread of [10, 1_000, 1e6]) {
    const report = busyReport(clock, spread)
    const text = writeReport(report)
    test.ok(Buffer.byteLength(text) <= maxReportBytes, `${Buffer.byteLength(text)} bytes for a spread of ${spread}`)
    const read = readReport(text)
    const exact = mergedLatency([report.traffic?.latency.hit])
    const shown = mergedLatency([read?.traffic?.latency.hit])
    test.equal(shown.count, exact.count)
    test.ok((shown.quantile(0.99) ?? 0) >= (exact.quantile(0.99) ?? 0), 'a wider bucket gives a higher bound, never a lower one')
  }
})

t.test('200 replicas cost fewer than 100 commands and 250 KiB a second, and keep less than 2 MiB for an hour', async test => {
  const redis = await startRedis()
  const clock = manualClock(1_700_000_000_000)
  const connections = connectRedis({ url: redis.url, commandTimeoutMs: 10_000, clock: { now: () => Date.now(), monotonic: () => performance.now() }, logger: memoryLog() })
  const raw = new Redis(redis.url)
  test.teardown(async () => {
    connections.close()
    raw.disconnect()
    await redis.stop()
  })
  await connections.ready()
  const calls: string[] = []
  let bytes = 0
  // Counts what is sent. The replicas share a connection here, which changes neither number.
  const small = Object.assign(Object.create(connections.small) as typeof connections.small, {
    call: (command: string, args: (string | number | Buffer)[]) => {
      calls.push(command)
      bytes += [command, ...args].reduce<number>((sum, arg) => sum + String(arg).length + String(String(arg).length).length + 5, 8) // RESP
      return connections.small.call(command, args)
    },
  })
  const report = busyReport(clock, 1_000)
  const row = new Float64Array(rowLength).map(() => Math.floor(1_000 * chance.next()))
  const fleets = Array.from({ length: 200 }, (_, i) => {
    const messages = { listen: () => undefined, send: async () => undefined }
    const fleet = new Fleet({ redis: { small, ready: () => new Promise(() => undefined) }, messages, prefix: 'sh', replica: `web-${i}-12345-a1b2c3d4`, clock, reportMs: 5_000,
      historyMs: 3_600_000, random: () => chance.next() })
    fleet.start({ report: () => report, reply: () => undefined })
    return fleet
  })
  const reportAll = async (): Promise<void> => void await Promise.all(fleets.map(fleet => fleet.reportNow()))
  await reportAll()
  calls.length = bytes = 0
  const before = Number(/total_commands_processed:(\d+)/.exec(await raw.info('stats'))?.[1])
  // A minute: each replica reports twelve times, and closes six steps.
  for (let tick = 0; tick < 12; tick++) {
    clock.advance(5_000)
    if (tick % 2 === 0) { for (const fleet of fleets) fleet.closed(Math.floor(clock.now() / 10_000) - 1, row) }
    await reportAll()
  }
  const counted = Number(/total_commands_processed:(\d+)/.exec(await raw.info('stats'))?.[1]) - before
  const [perSecond, kib] = [counted / 60, bytes / 60 / 1024]
  test.comment(
    `${perSecond.toFixed(1)} commands and ${kib.toFixed(0)} KiB a second; ${
      [...new Set(calls)].map(command => `${command} ${calls.filter(call => call === command).length / 60}`).join(', ')
    }`,
  )
  test.ok(perSecond <= 100, `${perSecond} commands a second`)
  test.ok(kib <= 250, `${kib} KiB a second`)
  const [key = ''] = await raw.keys('sh:{fleet}:step:*')
  const step = Number(await raw.memory('USAGE', key))
  const [reports = []] = [await raw.keys('sh:{fleet}:report:*')]
  const reportBytes = Number(await raw.memory('USAGE', reports[0] ?? ''))
  const kept = step * 360 + reportBytes * 200 + Number(await raw.memory('USAGE', 'sh:{fleet}:members'))
  test.comment(`${(kept / 1_048_576).toFixed(2)} MiB kept: ${step} bytes a step, ${reportBytes} a report`)
  test.ok(kept <= 2 * 1_048_576, `${kept} bytes`)
})
