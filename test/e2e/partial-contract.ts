// Incomplete responses over every store, through the whole proxy: RFC 9110 §14 and §15.3.7, RFC 9111 §3.3 and §3.4.
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { manualClock, type ManualClock } from '../support/manual-clock.ts'
import { ranged, type Ranged } from '../support/ranged-origin.ts'
import type { RedisServer } from '../support/redis.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

export const fresh = 'max-age=60'
export const small = Buffer.from('0123456789')
// In Redis bodies over 16 KiB lie in chunks of 256 KiB.
export const large = randomBytes(700_000)

export interface Scene extends TestProxy {
  readonly has: Ranged
  /** The Range and If-Range of each request that the origin got. */
  asked(): string[]
  /** Moves the time of day on. A shared log is read again before anything is served: a clock was set. */
  advance(ms: number): Promise<void>
}

/** The system's clock, which Redis is held to, with the time of day moved on. */
function movableClock(): ManualClock {
  let moved = 0
  return { now: () => systemClock.now() + moved, monotonic: () => systemClock.monotonic(), advance: ms => {
    moved += ms
  } }
}

/** A Redis, and whether there is memory in front of it. */
export interface Shared {
  readonly server: RedisServer
  readonly tiered: boolean
}

let scenes = 0

/** A proxy before an origin that has `small`, fresh for a minute. It uses the embedded store, or a Redis with a prefix of its own. */
export async function scene(t: Test, redis: Shared | undefined,
  options: { has?: Partial<Ranged>; origin?: (has: Ranged) => OriginHandler; config?: Record<string, unknown> } = {}): Promise<Scene> {
  const clock = redis === undefined ? manualClock() : movableClock()
  const has: Ranged = { now: clock.now, body: small, fields: { 'Cache-Control': fresh, ETag: '"v1"', 'Content-Type': 'text/plain' }, ...options.has }
  const shared = redis !== undefined && {
    redis: { url: redis.server.url, keyPrefix: `scene-${scenes++}` },
    ...(!redis.tiered && { cache: { memory: { maxBytes: 0 } } }),
  }
  const config = { ...shared, ...options.config }
  const house = await startProxy(t, { origin: (options.origin ?? ranged)(has), clock, config })
  const current = async (): Promise<void> => {
    if (redis !== undefined) await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current)
  }
  await current()
  const advance = (ms: number): Promise<void> => {
    clock.advance(ms)
    return current()
  }
  const asked = (): string[] => house.origin.requests.map(request => [request.header('range'), request.header('if-range')].filter(value => value !== undefined).join(' ') || '-')
  return { ...house, has, asked, advance }
}

export const bytes = (first: number | '', last: number | ''): { Range: string } => ({ Range: `bytes=${first}-${last}` })

/** Returns the stored incomplete responses, as `206 0-4/10`. */
export async function parts(house: Pick<TestProxy, 'admin'>): Promise<string[]> {
  const { entries } = JSON.parse((await house.admin('/v1/entries')).body.toString()) as {
    entries: { status: number; part?: { ranges: string; complete: number | null; sound: boolean } }[]
  }
  return entries.map(({ status, part }) => `${status} ${part === undefined ? 'whole' : `${part.ranges}/${part.complete ?? '*'}${part.sound ? '' : ' unsound'}`}`).toSorted()
}

export function is(t: Test, answer: Answer, status: number, body: Buffer | string, reason?: string): void {
  t.equal(answer.status, status)
  t.ok(answer.complete, 'complete')
  t.ok(answer.body.equals(Buffer.from(body)), `the body is right: ${answer.body.length} bytes`)
  if (reason !== undefined) t.equal(detail(answer), reason)
}

export function partialContract(t: Test, redis: Shared | undefined): void {
  void t.test('a part is stored, and satisfies ranges within it', async t => {
    const house = await scene(t, redis)
    const first = await house.get('/a', bytes(4, 8))
    is(t, first, 206, '45678')
    t.equal(first.header('cache-status'), 'springhouse; fwd=uri-miss; fwd-status=206; stored; detail=range-miss')
    await house.advance(2000)
    const second = await house.get('/a', bytes(5, 6))
    is(t, second, 206, '56', 'fresh')
    t.equal(second.header('content-range'), 'bytes 5-6/10')
    t.equal(second.header('content-length'), '2')
    t.equal(second.header('content-type'), 'text/plain')
    t.ok(Number(second.header('age')) >= 2, 'as old as it is')
    is(t, await house.get('/a', { ...bytes(5, 6), 'If-Range': '"v1"' }), 206, '56', 'fresh')
    t.equal((await house.get('/a', { ...bytes(5, 6), 'If-None-Match': '"v1"' })).status, 304)
    t.equal(house.origin.requests.length, 1)
    t.same(await parts(house), ['206 4-8/10'])
    const explained = JSON.parse((await house.admin(`/v1/explain?url=${encodeURIComponent(`http://127.0.0.1:${house.port}/a`)}`)).body.toString()) as object
    t.match(explained, { decision: { action: 'fetch', reason: 'part-only' }, variants: [{ status: 206, bytes: 5, part: { ranges: '4-8', complete: 10, sound: true } }] })
    const beyond = await house.get('/a', bytes(7, 9))
    is(t, beyond, 206, '789')
    t.equal(beyond.header('cache-status'), 'springhouse; fwd=partial; fwd-status=206; stored; detail=part-only')
    t.same(await parts(house), ['206 4-9/10'])
    is(t, await house.get('/a', bytes('', 5)), 206, '56789', 'fresh')
    is(t, await house.get('/a', bytes(8, '')), 206, '89', 'fresh')
  })

  void t.test('parts that together are everything become the whole, in any order and size', async t => {
    for (const [body, ranges] of [[small, [[6, 9], [0, 2], [2, 7]]], [large, [[400_000, 599_999], [0, 99_999], [600_000, 699_999], [90_000, 410_000]]]] as const) {
      void t.test(`${body.length} bytes`, async t => {
        const house = await scene(t, redis, { has: { body } })
        for (const [first, last] of ranges) is(t, await house.get('/a', bytes(first, last)), 206, body.subarray(first, last + 1))
        t.same(await parts(house), ['200 whole'])
        const hit = await house.get('/a')
        is(t, hit, 200, body, 'fresh')
        t.equal(hit.header('content-range'), undefined)
        t.equal(hit.header('content-length'), String(body.length))
        t.equal(house.origin.requests.length, ranges.length)
        const half = body.length >> 1
        is(t, await house.get('/a', bytes(1, half)), 206, body.subarray(1, half + 1), 'fresh')
        t.equal((await house.get('/a', {}, { method: 'HEAD' })).header('content-length'), String(body.length))
      })
    }
  })

  void t.test('a request for everything by Range brings the whole', async t => {
    const house = await scene(t, redis)
    is(t, await house.get('/a', bytes(0, '')), 206, small)
    is(t, await house.get('/a'), 200, small, 'fresh')
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('§3.3: the missing rest of a part is requested from the origin, and the client is sent the whole', async t => {
    for (const [body, first, last, rest] of [
      [small, 0, 4, 'bytes=5-'],
      [small, 5, 9, 'bytes=0-4'],
      [large, 0, 299_999, 'bytes=300000-'],
      [large, 300_000, 699_999, 'bytes=0-299999'],
    ] as const) {
      void t.test(`${first}-${last} of ${body.length}`, async t => {
        const house = await scene(t, redis, { has: { body } })
        await house.get('/a', bytes(first, last))
        const whole = await house.get('/a')
        is(t, whole, 200, body)
        t.equal(whole.header('cache-status'), 'springhouse; fwd=partial; fwd-status=206; stored; detail=part-only')
        t.equal(whole.header('content-range'), undefined)
        t.equal(whole.header('content-type'), 'text/plain')
        t.same(house.asked(), [`bytes=${first}-${last}`, `${rest} "v1"`])
        is(t, await house.get('/a'), 200, body, 'fresh')
        t.same(await parts(house), ['200 whole'])
      })
    }
  })

  void t.test('a gap in the middle is requested alone; two are not worth it', async t => {
    const house = await scene(t, redis)
    await house.get('/a', bytes(0, 1))
    await house.get('/a', bytes(8, 9))
    t.same(await parts(house), ['206 0-1,8-9/10'])
    is(t, await house.get('/a', bytes(8, 8)), 206, '8', 'fresh')
    is(t, await house.get('/a'), 200, small)
    t.equal(house.asked().at(-1), 'bytes=2-7 "v1"')
    await house.get('/b', bytes(2, 3))
    is(t, await house.get('/b'), 200, small, 'part-only')
    t.equal(house.asked().at(-1), '-')
    t.same(await parts(house), ['200 whole', '200 whole'], 'the part goes when the whole is there')
  })

  void t.test('an origin that has changed between parts: nothing of the two versions is joined', async t => {
    const house = await scene(t, redis)
    await house.get('/a', bytes(0, 4))
    house.has.body = Buffer.from('abcdefghij')
    house.has.fields = { ...house.has.fields, ETag: '"v2"' }
    is(t, await house.get('/a', bytes(5, 9)), 206, 'fghij')
    t.same(await parts(house), ['206 5-9/10'], 'the newer takes the place of the older')
    is(t, await house.get('/a', bytes(5, 6)), 206, 'fg', 'fresh')
    is(t, await house.get('/a', bytes(0, 1)), 206, 'ab')
    house.has.body = Buffer.from('ABCDEFGHIJKL')
    house.has.fields = { ...house.has.fields, ETag: '"v3"' }
    is(t, await house.get('/a'), 200, 'ABCDEFGHIJKL')
    is(t, await house.get('/a'), 200, 'ABCDEFGHIJKL', 'fresh')
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('an origin that does not heed If-Range gets a second request, for the whole', async t => {
    const house = await scene(t, redis, {
      origin: has => (request, response, recorded) => {
        delete request.headers['if-range']
        return ranged(has)(request, response, recorded)
      },
    })
    await house.get('/a', bytes(0, 4))
    house.has.body = Buffer.from('abcdefghij')
    house.has.fields = { ...house.has.fields, ETag: '"v2"' }
    const whole = await house.get('/a')
    is(t, whole, 200, 'abcdefghij')
    t.same(house.asked(), ['bytes=0-4', 'bytes=5- "v1"', '-'])
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('an origin whose representation has shrunk responds with 416, and gets a second request', async t => {
    const house = await scene(t, redis, { has: { fields: { 'Cache-Control': fresh } } })
    await house.get('/a', bytes(0, 4))
    house.has.body = Buffer.from('abc')
    is(t, await house.get('/a'), 200, 'abc')
    t.same(house.asked(), ['bytes=0-4', 'bytes=5-', '-'])
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('without a strong validator the rest helps only if it is the whole; then the part goes', async t => {
    for (const validator of [{}, { ETag: 'W/"v1"' }]) {
      const house = await scene(t, redis, { has: { fields: { 'Cache-Control': fresh, ...validator } } })
      await house.get('/a', bytes(0, 4))
      await house.get('/a', bytes(5, 9))
      t.same(await parts(house), ['206 5-9/10'], 'they are not joined')
      is(t, await house.get('/a'), 200, small)
      t.same(house.asked().slice(2), ['bytes=0-4', '-'])
      t.same(await parts(house), ['200 whole'])
    }
  })

  void t.test('parts of unknown whole length satisfy ranges within them, and none that is counted from the end', async t => {
    const house = await scene(t, redis, { has: { complete: '*' } })
    is(t, await house.get('/a', bytes(0, 4)), 206, '01234')
    const part = await house.get('/a', bytes(1, 3))
    is(t, part, 206, '123', 'fresh')
    t.equal(part.header('content-range'), 'bytes 1-3/*')
    is(t, await house.get('/a', bytes(3, '')), 206, '3456789', 'part-only')
    t.same(await parts(house), ['206 0-9/*'])
    is(t, await house.get('/a'), 200, small)
    t.equal(house.asked().at(-2), 'bytes=10- "v1"', 'nobody knows whether there is more')
    t.equal(house.asked().at(-1), '-')
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('If-Range with another version is left to the origin', async t => {
    const house = await scene(t, redis)
    await house.get('/a', bytes(0, 4))
    is(t, await house.get('/a', { ...bytes(0, 1), 'If-Range': '"v0"' }), 200, small)
    t.equal(house.asked().at(-1), 'bytes=0-1 "v0"')
    t.same(await parts(house), ['200 whole'], 'a 200 to a Range is the whole')
  })

  void t.test('a truncated part is not stored', async t => {
    for (const framing of ['a length', 'chunks']) {
      let cut = true
      const house = await scene(t, redis, {
        has: { body: large },
        origin: has => (request, response, recorded) => {
          if (!cut) return ranged(has)(request, response, recorded)
          const [first, last] = request.headers.range === 'bytes=0-499999' ? [0, 499_999] : [500_000, 699_999]
          response.writeHead(206, { ...has.fields, 'Content-Range': `bytes ${first}-${last}/700000`, ...(framing === 'a length' && { 'Content-Length': last + 1 - first }) })
          response.write(large.subarray(first, last - 10_000), () => response.destroy())
        },
      })
      const broken = await house.get('/a', bytes(0, 499_999))
      t.equal(broken.complete, false, framing)
      t.same(await parts(house), [])
      cut = false
      is(t, await house.get('/a', bytes(0, 499_999)), 206, large.subarray(0, 500_000))
      cut = true
      t.equal((await house.get('/a')).status, 502, 'nor is a part that was to complete another: the client gets an error')
      t.same(await parts(house), ['206 0-499999/700000'])
      cut = false
      is(t, await house.get('/a'), 200, large)
    }
  })

  void t.test('a part whose bytes do not match its ranges satisfies the very same request fields, and nothing else', async t => {
    const house = await scene(t, redis, {
      origin: has => (request, response) => {
        if (request.headers.range === undefined) response.writeHead(200, has.fields).end(small)
        else response.writeHead(206, { ...has.fields, 'Content-Length': 5, 'Content-Range': 'bytes 4-9/10' }).end('01234')
      },
    })
    for (const status of ['stored', 'fresh']) {
      const answer = await house.get('/a', bytes('', 5))
      is(t, answer, 206, '01234')
      t.equal(answer.header('content-range'), 'bytes 4-9/10')
      t.match(answer.header('cache-status'), status)
    }
    t.same(await parts(house), ['206 4-9/10 unsound'])
    t.equal(detail(await house.get('/a', bytes(6, 8))), 'part-only')
    is(t, await house.get('/a'), 200, small)
    t.equal(house.asked().at(-1), '-')
  })

  void t.test('a part of unannounced length must have the bytes that it says', async t => {
    const house = await scene(t, redis, {
      origin: has => (request, response) => {
        response.writeHead(206, { ...has.fields, 'Content-Range': 'bytes 0-4/10' })
        response.write('01')
        setImmediate(() => response.end(request.url === '/short' ? '2' : request.url === '/long' ? '23456' : '234'))
      },
    })
    is(t, await house.get('/short', bytes(0, 4)), 206, '012')
    is(t, await house.get('/long', bytes(0, 4)), 206, '0123456')
    t.same(await parts(house), [])
    is(t, await house.get('/right', bytes(0, 4)), 206, '01234')
    t.same(await parts(house), ['206 0-4/10'])
  })

  void t.test('a purge between two parts kills the whole that they would have become', async t => {
    let hold: (() => void) | undefined
    let holding = false
    const house = await scene(t, redis, {
      origin: has => async (request, response, recorded) => {
        const { body, fields } = has
        if (holding)
          await new Promise<void>(resolve => {
            hold = resolve
          })
        return ranged({ body, fields })(request, response, recorded)
      },
    })
    await house.get('/a', bytes(0, 4))
    t.equal((await house.purge({ urls: ['/a'] })).status, 200)
    is(t, await house.get('/a', bytes(0, 1)), 206, '01', 'range-miss')
    t.same(house.asked().at(-1), 'bytes=0-1')
    // Purged while the rest is in flight: the origin's bytes of before the purge must reach no client after it.
    holding = true
    const answer = house.get('/a')
    await eventually(() => hold !== undefined)
    t.equal((await house.purge({ all: true })).status, 200)
    house.has.body = Buffer.from('abcdefghij')
    holding = false
    hold?.()
    is(t, await answer, 200, 'abcdefghij')
    t.same(house.asked().slice(-2), ['bytes=2- "v1"', '-'])
    is(t, await house.get('/a'), 200, 'abcdefghij', 'fresh')
  })

  void t.test('a response made of two parts is as young as the older one to purges, and has the tags of both', async t => {
    let tag = 'one'
    const house = await scene(t, redis, {
      origin: has => (request, response, recorded) => ranged({ ...has, fields: { ...has.fields, 'Cache-Tag': tag } })(request, response, recorded),
    })
    const both = async (path: string, between: () => Promise<unknown>): Promise<void> => {
      tag = 'one'
      await house.get(path, bytes(0, 4))
      await between()
      tag = 'two'
      is(t, await house.get(path, bytes(5, 9)), 206, '56789')
    }
    await both('/a', () => house.purge({ tags: ['one'], soft: true }))
    t.same(await parts(house), ['200 whole'])
    const validated = await house.get('/a')
    is(t, validated, 200, small, 'soft-purged')
    t.match(validated.header('cache-status'), 'fwd-status=304')
    await both('/b', async () => undefined)
    is(t, await house.get('/b'), 200, small, 'fresh')
    await house.purge({ tags: ['one'] })
    is(t, await house.get('/b'), 200, small, 'uri-miss')
  })

  void t.test('RFC 9110 §13.2.2: a stale whole is validated for a request for a part', async t => {
    const house = await scene(t, redis)
    await house.get('/a')
    await house.advance(61_000)
    const part = await house.get('/a', { ...bytes(2, 4), 'If-Range': '"v1"' })
    is(t, part, 206, '234')
    t.equal(part.header('cache-status'), 'springhouse; fwd=stale; fwd-status=304; stored; detail=stale')
    const sent = house.origin.requests[1]
    t.same([sent?.header('range'), sent?.header('if-range'), sent?.header('if-none-match')], ['bytes=2-4', '"v1"', '"v1"'])
    is(t, await house.get('/a'), 200, small, 'fresh')
    await house.advance(61_000)
    house.has.body = Buffer.from('abcdefghij')
    house.has.fields = { ...house.has.fields, ETag: '"v2"' }
    is(t, await house.get('/a', { ...bytes(2, 4), 'If-Range': '"v1"' }), 200, 'abcdefghij')
    is(t, await house.get('/a'), 200, 'abcdefghij', 'fresh')
    await house.advance(61_000)
    house.has.body = Buffer.from('ABCDEFGHIJ')
    house.has.fields = { ...house.has.fields, ETag: '"v3"' }
    is(t, await house.get('/a', bytes(2, 4)), 206, 'CDE')
    t.same(await parts(house), ['200 whole', '206 2-4/10'])
    is(t, await house.get('/a', bytes(3, 4)), 206, 'DE', 'fresh')
    is(t, await house.get('/a'), 200, 'ABCDEFGHIJ', 'stale')
    t.same(await parts(house), ['200 whole'])
  })

  void t.test('a stale part is validated for a request that lies in it', async t => {
    const house = await scene(t, redis)
    await house.get('/a', bytes(2, 6))
    await house.advance(61_000)
    const part = await house.get('/a', bytes(3, 4))
    is(t, part, 206, '34')
    t.equal(part.header('cache-status'), 'springhouse; fwd=stale; fwd-status=304; stored; detail=stale')
    is(t, await house.get('/a', bytes(5, 6)), 206, '56', 'fresh')
    t.equal(house.origin.requests.length, 2)
  })

  void t.test('§14.6: several ranges of a whole are sent as multipart/byteranges', async t => {
    for (const body of [small, large]) {
      const house = await scene(t, redis, {
        has: { body, fields: { 'Cache-Control': fresh, ETag: '"v1"', 'Content-Type': 'text/plain; charset=utf-8', 'Content-Digest': 'sha-256=:x:' } },
      })
      await house.get('/a')
      const last = body.length - 1
      const answer = await house.get('/a', { Range: `bytes=5-6, 0-1,${last}-` })
      t.equal(answer.status, 206)
      t.equal(answer.header('content-range'), undefined, '§15.3.7.2')
      t.equal(answer.header('content-digest'), undefined, 'that of another content')
      t.equal(answer.header('content-length'), String(answer.body.length))
      t.ok(answer.complete)
      t.same(readMultipart(answer), [
        { type: 'text/plain; charset=utf-8', range: `bytes 5-6/${body.length}`, body: body.toString('latin1', 5, 7) },
        { type: 'text/plain; charset=utf-8', range: `bytes 0-1/${body.length}`, body: body.toString('latin1', 0, 2) },
        { type: 'text/plain; charset=utf-8', range: `bytes ${last}-${last}/${body.length}`, body: body.toString('latin1', last) },
      ])
      const again = await house.get('/a', { Range: `bytes=5-6,0-1,${last}-` })
      t.not(again.header('content-type'), answer.header('content-type'), 'nobody can guess the boundary')
      is(t, await house.get('/a', { Range: 'bytes=0-1,2-4' }), 206, body.subarray(0, 5), 'fresh')
      const seventeen = Array.from({ length: 17 }, (_, i) => `${i * 3}-${i * 3}`).join(',')
      is(t, await house.get('/a', { Range: `bytes=${seventeen}` }), 200, body, 'fresh')
      is(t, await house.get('/a', { Range: 'bytes=0-5,1-6,2-7' }), 200, body, 'fresh')
      if (body === large) {
        const most = await house.get('/a', { Range: 'bytes=0-299999,350000-699999' })
        t.same(readMultipart(most).map(part => part.body), [body.toString('latin1', 0, 300_000), body.toString('latin1', 350_000)])
      }
      t.equal(house.origin.requests.length, 1)
    }
  })
}

/** The parts of a multipart/byteranges message, as RFC 2046 §5.1.1 reads them. */
function readMultipart(answer: Answer): { type: string; range: string; body: string }[] {
  const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(answer.header('content-type') ?? '')?.[1] ?? 'none'
  const pieces = `\r\n${answer.body.toString('latin1')}`.split(`\r\n--${boundary}`)
  if (pieces[0] !== '' || pieces.at(-1) !== '--\r\n') throw new Error('it does not begin and end as it should')
  return pieces.slice(1, -1).map(piece => {
    const [head = '', ...rest] = piece.split('\r\n\r\n')
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? ''
    return { type: field('content-type'), range: field('content-range'), body: rest.join('\r\n\r\n') }
  })
}
