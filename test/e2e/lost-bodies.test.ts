// A stored body whose middle is lost while it is sent: the rest comes from the origin where that has the same still.
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { detail, overRedis, startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import type { Recorded } from '../support/scripted-origin.ts'

t.setTimeout(360_000)

const chunkBytes = 262_144
const body = randomBytes(4 * chunkBytes + 1000)
/** The same up to `at`, and as long. */
const otherFrom = (at: number): Buffer => Buffer.concat([body.subarray(0, at), randomBytes(body.length - at)])

type Answers = (response: ServerResponse, request: Recorded) => unknown
/** The origin's response from now on. */
let answers: Answers
const whole = (bytes: Buffer, fields: Readonly<Record<string, string>> = {}): Answers => response => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Content-Length': bytes.length, ...fields }).end(bytes)
}

const redis = await startRedis()
t.teardown(() => redis.stop())
const raw = new Redis(redis.url)
t.teardown(() => raw.disconnect())
const house = await startProxy(t, {
  origin: (_request, response, recorded) => answers(response, recorded),
  clock: systemClock,
  config: { ...overRedis(redis.url), cache: { memory: { maxBytes: 0 } } },
})

/** Stores `body` under a path, and spoils a chunk of it. */
async function lose(path: string, number: number, fields: Readonly<Record<string, string>> = {}): Promise<void> {
  const before = new Set(await raw.keys('*:b:*'))
  answers = whole(body, fields)
  t.ok((await house.get(path)).complete)
  const chunks = (await raw.keys('*:b:*')).filter(name => !before.has(name))
  t.equal(chunks.length, 5)
  const name = chunks.find(each => each.endsWith(`:${number}`)) as string
  const value = await raw.getBuffer(name) as Buffer
  value[100] = (value[100] as number) ^ 1
  await raw.set(name, value, 'KEEPTTL')
}

const described = { ETag: '"one"', 'Last-Modified': 'Tue, 01 Sep 2026 10:00:00 GMT', 'Content-Type': 'application/json' }
const changed = otherFrom(3 * chunkBytes)

const inPieces = (fields: Readonly<Record<string, string>>): Answers => response => {
  response.writeHead(200, fields)
  response.write(body.subarray(0, 70_000))
  response.end(body.subarray(70_000))
}

/** `shared`: false if the response is not stored. */
const same: Readonly<Record<string, { fields?: Readonly<Record<string, string>>; later: Answers; expected?: Buffer; shared?: boolean }>> = {
  'the same': { later: whole(body) },
  'the same, described': { fields: described, later: whole(body, described) },
  'the same, of no announced length': { later: inPieces({ 'Cache-Control': 'max-age=600' }) },
  'the same, for one client alone': { later: inPieces({ 'Cache-Control': 'private' }), shared: false },
  'a change only behind the sent bytes': { later: whole(changed), expected: changed },
}
for (const [what, { fields, later, expected = body, shared = true }] of Object.entries(same)) {
  t.test(`the origin responds with ${what}: the client gets all of it`, async t => {
    const path = `/${what.replaceAll(/\W/g, '-')}`
    await lose(path, 2, fields)
    answers = later
    const asked = house.origin.requests.length
    const answer = await house.get(path)
    t.equal(answer.complete, true)
    t.equal(detail(answer), 'fresh', 'the head was that of a hit')
    t.ok(answer.body.equals(expected))
    // A response that is not for others is requested once to find that out.
    const fetched = asked + (shared ? 1 : 2)
    t.equal(house.origin.requests.length, fetched)
    t.equal((await house.get(path)).body.equals(expected), true, 'the next client gets it too')
    t.equal(house.origin.requests.length, fetched + (shared ? 0 : 1))
  })
}

t.test('a part too: a request for it fetches the whole response, without conditions', async t => {
  await lose('/part', 2, described)
  answers = whole(body, described)
  const answer = await house.get('/part', { Range: `bytes=1000-${4 * chunkBytes + 9}`, 'If-Range': '"one"' })
  t.equal(answer.status, 206)
  t.ok(answer.body.equals(body.subarray(1000, 4 * chunkBytes + 10)))
  t.equal(answer.complete, true)
  const asked = house.origin.requests.at(-1) as Recorded
  for (const name of ['range', 'if-range', 'if-none-match', 'if-modified-since']) t.equal(asked.header(name), undefined, name)
})

t.test('a client that reads slowly holds up the origin, and gets all of it', async t => {
  await lose('/slow', 1)
  answers = whole(body)
  const asked = house.origin.requests.length
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    open(house.port, { path: '/slow' }, response => {
      void house.origin.nth(asked + 1).then(() => response.on('data', (chunk: Buffer) => chunks.push(chunk)))
      response.on('end', resolve)
    }).on('error', reject)
  })
  t.ok(Buffer.concat(chunks).equals(body))
})

const other: Readonly<Record<string, Answers>> = {
  'another beginning': whole(otherFrom(chunkBytes)),
  'another length': whole(body.subarray(0, -1)),
  'a body that is shorter than was announced by nobody': response => {
    response.writeHead(200)
    response.write(body.subarray(0, 10))
    response.end(body.subarray(10, -1))
  },
  'a body that is longer than was announced by nobody': response => {
    response.writeHead(200)
    response.write(body)
    response.end('more')
  },
  'another validator': whole(body, { ETag: '"two"' }),
  'another type': whole(body, { 'Content-Type': 'text/plain' }),
  'another status': response => {
    response.writeHead(404, { 'Content-Length': body.length }).end(body)
  },
  'an error': response => {
    response.writeHead(500).end()
  },
  'a part': response => {
    response.writeHead(206, { 'Content-Range': `bytes 0-9/${body.length}` }).end(body.subarray(0, 10))
  },
  nothing: response => {
    response.destroy()
  },
  'the same, cut off': response => {
    response.writeHead(200, { 'Content-Length': body.length }).write(body.subarray(0, -1), () => response.destroy())
  },
}
for (const [what, later] of Object.entries(other)) {
  t.test(`the origin responds with ${what}: the response is truncated`, async t => {
    const path = `/other/${what.replaceAll(/\W/g, '-')}`
    await lose(path, 2)
    answers = later
    const answer = await house.get(path)
    t.equal(answer.status, 200)
    t.equal(answer.complete, false)
    t.ok(body.equals(Buffer.concat([answer.body, body.subarray(answer.body.length)])), 'the received beginning was right')
    // The origin's response may be on its way into the store: this request ends after it.
    answers = whole(body)
    await house.get(path)
  })
}

t.test('a client that forbids contacting the origin: the response is truncated', async t => {
  await lose('/only-if-cached', 2)
  const asked = house.origin.requests.length
  t.equal((await house.get('/only-if-cached', { 'Cache-Control': 'only-if-cached' })).complete, false)
  t.equal(house.origin.requests.length, asked)
})

t.test('a body that was lost before anything was sent is a miss', async t => {
  await lose('/first', 0)
  const answer = await house.get('/first')
  t.equal(detail(answer), 'uri-miss')
  t.ok(answer.body.equals(body))
})

t.test('it is counted', async t => {
  const metrics = (await house.admin('/metrics')).body.toString()
  t.equal(Number(/springhouse_bodies_continued_total (\d+)/.exec(metrics)?.[1]), Object.keys({ ...same, ...other }).length + 2)
})
