// Responses that the store can never keep: followers learn it at once, none waits, and no fetch goes on for a client that has
// left.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { detail, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'

const MiB = 1_048_576
const cached = { 'Cache-Control': 'max-age=3600' }
const piece = Buffer.alloc(65_536, 'x')

interface Held {
  readonly house: TestProxy
  /** The origin's responses, as it began them. */
  readonly responses: ServerResponse[]
}

/** An origin that announces `announced` bytes, or no length, and sends the bytes that a test chooses. */
async function holding(t: Parameters<typeof startProxy>[0], announced: number | undefined, config: Readonly<Record<string, unknown>>): Promise<Held> {
  const responses: ServerResponse[] = []
  const house = await startProxy(t, {
    clock: systemClock as never,
    config: { cache: { memory: { maxBytes: '8MiB' } }, ...config },
    origin: (_, response) => {
      response.writeHead(200, { ...cached, ...(announced !== undefined && { 'Content-Length': announced }) })
      response.flushHeaders()
      responses.push(response)
    },
  })
  return { house, responses }
}

/** A client that reads all that comes, until it is destroyed. */
function reading(house: TestProxy): ReturnType<typeof open> {
  const request = open(house.port, { path: '/big' }, response => void response.on('error', () => undefined).resume())
  return request.on('error', () => undefined)
}

/** Resolves when the response takes more, or is over. Takes its listeners off again. */
function drainedOrClosed(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

async function send(response: ServerResponse, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!response.write(piece)) await drainedOrClosed(response)
  }
}

/** Proves that a later request does not wait for the first response, once it cannot be stored. */
async function othersGoOn(t: Test, house: TestProxy, responses: readonly ServerResponse[], reason: string): Promise<void> {
  const refused = new RegExp(`^springhouse_responses_not_stored_total\\{reason="${reason}"\\} [1-9]`, 'm')
  await eventually(async () => refused.test((await house.admin('/metrics')).body.toString()))
  const later = house.get('/big')
  await eventually(() => responses.length === 2)
  responses[1]?.end('short')
  t.equal((await later).body.toString(), 'short')
}

// The guard: Store.refuses (exchange/fill/response-storer.ts, begin). Without it the response says stored, and the others wait for all of it.
t.test('announced: not stored, and no request waits for it', async t => {
  const { house, responses } = await holding(t, 2 * MiB, {})
  const answers = Array.from({ length: 5 }, () => house.get('/big'))
  await eventually(() => responses.length === 5)
  for (const response of responses) void send(response, 2 * MiB).then(() => response.end())
  for (const answer of await Promise.all(answers)) {
    t.equal(answer.body.length, 2 * MiB)
    t.match(answer.header('cache-status'), /detail=too-large$/)
    t.notMatch(answer.header('cache-status'), /stored/)
  }
  t.match((await house.admin('/metrics')).body.toString(), /^springhouse_responses_not_stored_total\{reason="too-large"\} 5$/m)
})

t.test('announced, and its client leaves: the origin need not send it', async t => {
  const { house, responses } = await holding(t, 60 * MiB, {})
  const client = reading(house)
  await eventually(() => responses.length === 1)
  const [response] = responses as [ServerResponse]
  const closed = once(response, 'close')
  client.destroy()
  await closed
  t.notOk(response.writableFinished)
})

// The guards: Writer.gaveUp (exchange/fill/response-storer.ts, write), without which the later request waits for the end; and abandon
// (exchange/fill/fill.ts).
t.test('not announced: once it has grown too long, nobody else waits for it, and it goes on for as long as a client reads it', async t => {
  const { house, responses } = await holding(t, undefined, {})
  const first = reading(house)
  await eventually(() => responses.length === 1)
  const others = Array.from({ length: 3 }, () => reading(house))
  await eventually(async () => /^springhouse_coalescing_waits_total 3$/m.test((await house.admin('/metrics')).body.toString()))
  const [response] = responses as [ServerResponse]
  await send(response, 2 * MiB)
  await othersGoOn(t, house, responses, 'too-large')
  first.destroy()
  await send(response, MiB)
  t.notOk(response.destroyed)
  const closed = once(response, 'close')
  for (const other of others) other.destroy()
  await closed
  t.notOk(response.writableEnded, 'the first is not at its end')
})

t.test('not announced, and its client has left before: the fetch is aborted when it has grown too long', async t => {
  const { house, responses } = await holding(t, undefined, {})
  const client = reading(house)
  await eventually(() => responses.length === 1)
  client.destroy()
  const [response] = responses as [ServerResponse]
  const closed = once(response, 'close')
  // The fetch goes on while the response may still be stored.
  void send(response, 60 * MiB)
  await closed
  t.notOk(response.writableFinished)
})

t.test('a response that fits is stored as ever', async t => {
  const { house, responses } = await holding(t, MiB / 2, {})
  const answer = house.get('/fits')
  await eventually(() => responses.length === 1)
  await send(responses[0] as ServerResponse, MiB / 2)
  ;(responses[0] as ServerResponse).end()
  t.match((await answer).header('cache-status'), /stored/)
  t.equal(detail(await house.get('/fits')), 'fresh')
})

for (const [name, memory] of [['in front of it', { maxBytes: '8MiB' }], ['not in front of it', { maxBytes: 0 }]] as const) {
  t.test(`Redis keeps entries that memory cannot; memory ${name}`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { house, responses } = await holding(t, 2 * MiB, { ...overRedis(redis.url), cache: { memory, maxEntryBytes: '4MiB' } })
    const answers = Array.from({ length: 3 }, () => house.get('/big'))
    await eventually(async () => responses.length === 1 && /^springhouse_coalescing_waits_total 2$/m.test((await house.admin('/metrics')).body.toString()))
    await send(responses[0] as ServerResponse, 2 * MiB)
    ;(responses[0] as ServerResponse).end()
    t.same((await Promise.all(answers)).map(({ body }) => body.length), [2 * MiB, 2 * MiB, 2 * MiB])
    t.equal(responses.length, 1)
    t.equal(detail(await house.get('/big')), 'fresh')
  })

  t.test(`beyond the limit of Redis: not announced, the others go on; memory ${name}`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { house, responses } = await holding(t, undefined, { ...overRedis(redis.url), cache: { memory, maxEntryBytes: '4MiB' } })
    const first = reading(house)
    await eventually(() => responses.length === 1)
    const other = house.get('/big')
    await eventually(async () => /^springhouse_coalescing_waits_total 1$/m.test((await house.admin('/metrics')).body.toString()))
    await send(responses[0] as ServerResponse, 5 * MiB)
    await othersGoOn(t, house, responses, 'too-large')
    first.destroy()
    responses[0]?.end()
    t.equal((await other).body.length, 5 * MiB, 'and a client that reads has all of it')
  })

  t.test(`Redis that fails on the way: the others go on; memory ${name}`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { house, responses } = await holding(t, undefined, { ...overRedis(redis.url), cache: { memory }, coherence: { maxLagMs: 60_000 } })
    const first = reading(house)
    await eventually(() => responses.length === 1)
    const other = house.get('/big')
    await eventually(async () => /^springhouse_coalescing_waits_total 1$/m.test((await house.admin('/metrics')).body.toString()))
    await send(responses[0] as ServerResponse, 1.5 * MiB)
    redis.kill('SIGKILL')
    await send(responses[0] as ServerResponse, 8 * MiB)
    await othersGoOn(t, house, responses, 'store-refused')
    first.destroy()
    responses[0]?.end()
    t.equal((await other).body.length, 9.5 * MiB, 'and a client that reads has all of it')
  })
}
