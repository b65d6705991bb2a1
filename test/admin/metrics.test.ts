// The metrics, and that their documentation matches.
import { readFile } from 'node:fs/promises'
import tap from 'tap'
import { listen, overLog, TwoWorkers } from './support.ts'
import { SpringhouseError } from '../../src/errors.ts'
import { endedExchange, endMany } from '../support/exchange.ts'
import { bucketBoundsMs } from '../../src/observe/buckets.ts'
import { histogramBoundsMs } from '../../src/admin/traffic-metrics.ts'

const namesIn = (text: string, pattern: RegExp): Set<string> => new Set(Array.from(text.matchAll(pattern), (match) => match[1] as string))

tap.test('every metric is documented, and every documented metric is there', async (t) => {
  const { ask } = await listen(t)
  const scraped = namesIn((await ask('/metrics')).text, /^# TYPE (\S+) /gm)
  // npm and tap run from the root of the repository.
  const page = await readFile('docs/metrics.md', 'utf8')
  const documented = namesIn(page, /^\| `((?:springhouse|process|nodejs)_\w+)` /gm)
  t.same([...scraped].filter((name) => !documented.has(name)), [], 'scraped, but not documented')
  const linuxOnly = namesIn(page, /^\| `(process_\w+)` \| Linux/gm)
  const expected = [...documented].filter((name) => process.platform === 'linux' || !linuxOnly.has(name))
  t.same(expected.filter((name) => !scraped.has(name)), [], 'documented, but not scraped')
  const mentioned = namesIn(page, /(springhouse_\w+)/g)
  t.same([...mentioned].filter((name) => !documented.has(name)), [], 'mentioned in prose, but in no table')
})

tap.test('documented types and labels are those that are scraped', async (t) => {
  const { ask } = await listen(t)
  const { text } = await ask('/metrics')
  const page = await readFile('docs/metrics.md', 'utf8')
  for (const [, name = '', type = '', labels = ''] of page.matchAll(/^\| `(springhouse_\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|/gm)) {
    t.match(text, new RegExp(`^# TYPE ${name} ${type}$`, 'm'))
    const sample = new RegExp(`^${name}${type === 'histogram' ? '_count' : ''}(?:\\{(.*)\\})? `, 'm').exec(text)
    t.ok(sample, `${name} has a sample`)
    const scraped = Array.from((sample?.[1] ?? '').matchAll(/(\w+)="/g), (match) => match[1])
    t.same(scraped, Array.from(labels.matchAll(/`(\w+)`/g), (match) => match[1]), `labels of ${name}`)
  }
})

tap.test('counters have the counted values, and closed sets of labels start at 0', async (t) => {
  const { ask, parts, store, purge } = await listen(t)
  const before = (await ask('/metrics')).text
  t.match(before, /^springhouse_requests_total\{reason="vary-miss"\} 0$/m)
  t.match(before, /^springhouse_origin_errors_total\{code="ORIGIN_TIMEOUT"\} 0$/m)
  t.match(before, /^springhouse_hits_total 0$/m)

  endMany(parts.counters, 2, 'hit', 'fresh')
  parts.counters.failed(new SpringhouseError('ORIGIN_RESET'))
  await store('a', '/x')
  await purge({ all: true })
  for (let scrape = 0; scrape < 2; scrape++) {
    const { text, headers } = await ask('/metrics')
    t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
    t.match(text, /^springhouse_requests_total\{reason="fresh"\} 2$/m)
    t.match(text, /^springhouse_hits_total 2$/m)
    t.match(text, /^springhouse_request_outcomes_total\{outcome="hit"\} 2$/m)
    t.match(text, /^springhouse_origin_errors_total\{code="ORIGIN_RESET"\} 1$/m)
    t.match(text, /^springhouse_purges_total 1$/m)
    t.match(text, /^springhouse_store_entries 1$/m)
    t.match(text, /^springhouse_store_max_bytes 1048576$/m)
    t.match(text, new RegExp(`^springhouse_purge_log_revision ${parts.purgeLog.revision}$`, 'm'))
    t.match(text, /^springhouse_purge_log_current 1$/m)
    t.match(text, /^springhouse_replicas 1$/m)
    t.match(text, /^springhouse_origin_server_pending_requests\{origin="api",server="http:\/\/api\.example:3000",address="10\.0\.0\.1"\} 2$/m)
    t.match(text, /^springhouse_build_info\{version="1\.2\.3"\} 1$/m)
  }
})

tap.test('a scrape leaves out values that cannot be read', async (t) => {
  let out = false
  const { ask } = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, { replicas: () => (out ? Promise.reject(new Error('redis is gone')) : purgeLog.replicas()) }),
  }))
  t.match((await ask('/metrics')).text, /^springhouse_replicas 1$/m)
  out = true
  const answer = await ask('/metrics')
  t.equal(answer.status, 200)
  t.notMatch(answer.text, /^springhouse_replicas /m)
  t.match(answer.text, /^springhouse_degraded 0$/m)
})

tap.test('two listeners in one process keep their metrics apart', async (t) => {
  const one = await listen(t)
  const other = await listen(t)
  endMany(one.parts.counters, 5, 'hit', 'fresh')
  t.match((await one.ask('/metrics')).text, /^springhouse_hits_total 5$/m)
  t.match((await other.ask('/metrics')).text, /^springhouse_hits_total 0$/m)
})

tap.test('with several workers each has its label, whichever worker is scraped', async (t) => {
  const crew = new TwoWorkers()
  const one = await listen(t, () => ({ workers: crew.member('one') }))
  const other = await listen(t, () => ({ workers: crew.member('other') }))
  endMany(one.parts.counters, 5, 'hit', 'fresh')
  endMany(other.parts.counters, 7, 'hit', 'fresh')
  for (const { ask } of [one, other]) {
    const { text, headers } = await ask('/metrics')
    t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
    t.match(text, /^springhouse_hits_total\{worker="one"\} 5\nspringhouse_hits_total\{worker="other"\} 7$/m)
    t.match(text, /^springhouse_requests_total\{reason="fresh",worker="other"\} 7$/m)
    t.match(text, /^process_resident_memory_bytes\{worker="one"\} \d+$/m)
  }
})

tap.test('histograms hold the counts of the process’s own buckets, exactly, up to each bound', async (t) => {
  for (const bound of histogramBoundsMs) t.ok(bucketBoundsMs.includes(bound), `${bound} ms is a bound of the buckets`)
  const { ask, parts } = await listen(t)
  const { all } = parts.observation?.numbers ?? {}
  const hit = Object.assign(endedExchange('hit', 'fresh'), { bodyBytes: 10 })
  for (const ms of [0.05, 0.1, 0.11, 40, 250, 250.1, 200_000]) all?.count(hit, ms)
  const { text } = await ask('/metrics')
  const samples = (name: string): string[] =>
    Array.from(text.matchAll(new RegExp(`^springhouse_request_duration_seconds_${name}\\{(.*outcome="hit".*)\\} (.*)$`, 'gm')), ([, labels = '', value]) =>
      `${/le="([^"]*)"/.exec(labels)?.[1] ?? ''} ${value}`)
  const counts = samples('bucket').map((sample) => Number(sample.split(' ')[1]))
  t.same(samples('bucket').filter((sample) => /^(0\.0001|0\.00025|0\.025|0\.05|0\.25|0\.5|100|\+Inf) /.test(sample)), ['0.0001 2', '0.00025 3', '0.025 3', '0.05 4', '0.25 5',
    '0.5 6', '100 6', '+Inf 7'])
  t.same(counts, counts.toSorted((a, b) => a - b), 'they are cumulative')
  t.same(samples('count'), [' 7'])
  t.match(samples('sum')[0], / 200\.540/)
  t.match(text, /^springhouse_response_bytes_total\{outcome="hit"\} 70$/m)
  t.match(text, /^springhouse_route_requests_total\{route="api@\*\/",outcome="hit"\} 0$/m)
  t.match(text, /^springhouse_origin_requests_total\{origin="api",status="5xx"\} 0$/m)
})

tap.test('requests to the admin API count by endpoint and class of status, and no path of a client is a label', async (t) => {
  const { ask } = await listen(t)
  await ask('/v1/stats')
  await ask('/v1/stats?scope=all')
  await ask('/v1/secret-of-a-client')
  await ask('/v1/login', { token: null, body: { token: 'wrong' } })
  const { text } = await ask('/metrics')
  for (const [labels, count] of [['endpoint="/v1/stats",status="2xx"', 1], ['endpoint="/v1/stats",status="4xx"', 1], ['endpoint="other",status="4xx"', 1], [
    'endpoint="/v1/login",status="4xx"',
    1,
  ]] as const)
    t.match(text, `springhouse_admin_requests_total{${labels}} ${count}\n`)
  t.match(text, 'springhouse_admin_logins_total{result="refused"} 1\n')
  t.match(text, 'springhouse_admin_logins_total{result="accepted"} 0\n')
  t.notMatch(text, /secret-of-a-client/)
})
