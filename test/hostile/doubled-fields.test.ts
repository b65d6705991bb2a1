// Every registered field name, sent twice by an origin: no client, protocol or store makes the process end (RFC 9110 §5.3).
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { singleLineFields } from '../../src/http/field-section.ts'
import { overRedis, startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startCannedAnswers } from '../support/canned-answers.ts'
import { secureClients, type SecureAnswer, type SecureClients } from '../support/secure-clients.ts'
import { tlsFiles } from '../support/tls-files.ts'

t.setTimeout(300_000)

const names = readFileSync(fileURLToPath(new URL('../../../test/fixtures/registered-fields.txt', import.meta.url)), 'utf8').trim().split('\n')

/** The values of the two lines of a field. */
const pairs: readonly (readonly [string, string])[] = [
  ['a', 'a'],
  ['a', 'b'],
  ['', 'a'],
  ['1', '2'],
  ['"1"', 'W/"1"'],
  ['Tue, 14 Nov 2023 22:13:20 GMT', 'Tue, 14 Nov 2023 22:13:21 GMT'],
]

const tls = tlsFiles(t)

/** `/stored/3/1`: name 3 with pair 1. */
function canned(target: string): string {
  const [, kind = '', name = '', pair = ''] = target.split('/')
  if (kind === 'plain') return 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain'
  const [first, second] = pairs[Number(pair)] as readonly [string, string]
  const field = names[Number(name)] as string
  const control = kind === 'stored' ? 'max-age=60' : 'no-store'
  return `HTTP/1.1 200 OK\r\nCache-Control: ${control}\r\n${field}: ${first}\r\n${field}: ${second}\r\nContent-Length: 5\r\n\r\nhello`
}

type Tap = Parameters<typeof startProxy>[0]

async function stage(tap: Tap, config: object = {}, redis?: string) {
  const origin = await startCannedAnswers(canned)
  tap.teardown(() => origin.close())
  const house = await startProxy(tap, {
    origin: () => undefined,
    ...(redis !== undefined && { redis, clock: systemClock }),
    config: { origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }], proxy: { host: '127.0.0.1', port: 0, tls }, ...config },
  })
  const clients = secureClients(house.port)
  tap.teardown(async () => clients.close())
  return { house, clients }
}

/** Returns the fault of a response, if any: it must be whole or refused, and a field that has one value must have one. */
function fault({ status, lines, body, broken }: SecureAnswer): string | undefined {
  if (broken !== undefined) return broken
  if (status !== 502 && (status !== 200 || body !== 'hello')) return `status ${status}, ${JSON.stringify(body)}`
  for (const name of ['content-type', 'etag', 'location', 'content-length', 'date', 'age', 'expires', 'last-modified', 'content-range', 'retry-after']) {
    const values = lines.filter((_, i) => i % 2 === 0 && lines[i] === name)
    if (values.length > 1) return `${values.length} lines of ${name}`
  }
  return undefined
}

type Way = readonly [kind: 'stored' | 'unstored', method: string]

/** Sends a request for each name with each pair. `ways` are the requests made for each of these, in their order. */
async function faults(clients: SecureClients, ways: readonly Way[], protocols: readonly ('h1' | 'h2')[] = ['h1', 'h2']): Promise<string[]> {
  const found: string[] = []
  for (const [name, field] of names.entries()) {
    for (const pair of pairs.keys()) {
      // For most names any value is as good as another.
      if (pair > 1 && !singleLineFields.includes(field.toLowerCase())) continue
      for (const protocol of protocols) {
        for (const [kind, method] of ways) {
          const heard = fault(await clients.ask(protocol, `/${kind}/${name}/${pair}`, method))
          if (heard !== undefined) found.push(`${field} ${JSON.stringify(pairs[pair])}, ${protocol} ${method} ${kind}: ${heard}`)
        }
      }
    }
    const plain = await clients.ask('h2', '/plain')
    if (plain.body !== 'plain') found.push(`after ${field}: ${plain.broken ?? plain.body}`)
  }
  return found
}

const miss: Way = ['stored', 'GET']

// Without settleHead in receivedHead (origin/request/response-head.ts) the process ends at the first of them.
t.test('each response is whole or refused, stored in memory, not stored, and passed, over HTTP/1.1 and HTTP/2', async t => {
  const { clients } = await stage(t)
  t.same(await faults(clients, [miss, miss, ['unstored', 'GET'], ['unstored', 'POST']]), [])
})

t.test('each response out of Redis is whole or refused', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { clients, house } = await stage(t, { ...overRedis(redis.url), cache: { memory: { maxBytes: 0 } } }, redis.url)
  await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current)
  t.same(await faults(clients, [miss, miss], ['h2']), [])
})
