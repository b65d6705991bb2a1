// Clients that read slowly, or not at all, while others read the same response: no client waits for another one.
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { ranged } from '../support/ranged-origin.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore } from './fleet.ts'

t.setTimeout(240_000)

const body = randomBytes(20_000_000)
const other = randomBytes(20_000_000)
const storable = { 'cache-control': 'max-age=60', 'etag': '"v"' }

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 12)

/** Resolves with the digest of everything that a response brings; `cut` if it does not come to its end. */
function whole(response: Readable): Promise<string> {
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise(resolve => {
    response.on('end', () => resolve(digest(Buffer.concat(chunks))))
    response.on('error', () => resolve('cut'))
    response.on('aborted', () => resolve('cut'))
  })
}

const sending = (sized: boolean, bytes = body): OriginHandler => (_request, response) =>
  void response.writeHead(200, { ...storable, ...(sized && { 'content-length': bytes.length }) }).end(bytes)

// The guard: isHeldBy('client') in setPace (exchange/fill/sharing.ts). Without it the lead is released after five seconds, and the follower fetches.
for (const sized of [true, false]) {
  everyStore.test(`a client that reads nothing leads, and the next one has all of it: ${sized ? 'with' : 'without'} a length`, () => sending(sized), async (test, fleet) => {
    const stuck = await fleet.a.open('/a')
    stuck.pause()
    const follower = fleet.a.get('/a')
    test.equal(digest((await follower).body), digest(body))
    test.equal(await whole(stuck.resume()), digest(body), 'and later it has all of it too')
    test.equal(fleet.asked(), 1)
  })
}

// The guards: whenAwaited in hold() (exchange/coalesce/coalescer.ts) for the whole; for a range, `received` in exchange/fill/response-storer.ts.
// Without them the other replica fetches after `coalesceWait`.
for (const [what, headers] of [['the whole', {}], ['a range', { Range: 'bytes=5-' }]] as const) {
  everyStore.test(`a client that reads nothing leads, and another replica waits for ${what}: it has all of it from the same fetch`, () =>
    ranged({ body, fields: { ...storable, 'ETag': '"v"' } }), async (test, fleet) => {
    const stuck = await fleet.a.open('/a', headers)
    stuck.pause()
    const wanted = digest(body.subarray('Range' in headers ? 5 : 0))
    for (const replica of [fleet.b, fleet.a]) test.equal(digest((await replica.get('/a', headers)).body), wanted)
    test.equal(await whole(stuck.resume()), wanted, 'and later it has all of it too')
    test.equal(fleet.asked(), 1)
  }, { config: { coherence: { leaseMs: 60_000 } } })
}

/** Where the first response of the origin stops, until the test lets it go on. Within the first stop every window holds all bytes. */
const stops = [100_000, 12_000_000, body.length]

class Steps {
  asked = 0
  /** The body of every response but the first. */
  later = body
  #response: ServerResponse | undefined
  #stop = 0

  readonly origin: OriginHandler = (_request, response) => {
    response.writeHead(200, storable)
    if (++this.asked > 1) return void response.end(this.later)
    this.#response = response
    this.go()
  }

  /** Sends the first response up to the next stop. */
  go(): void {
    const [from, to] = [stops[this.#stop - 1] ?? 0, stops[this.#stop++] ?? 0]
    this.#response?.write(body.subarray(from, to))
    if (to === body.length) this.#response?.end()
  }
}

/** The steps of the present test. */
let steps = new Steps()
const stepping = (): OriginHandler => {
  steps = new Steps()
  return steps.origin
}

interface Pair {
  readonly slow: IncomingMessage
  readonly fast: Promise<string>
}

/** Two clients of one fetch, one of which reads nothing. Returns once the other has all but the last step. */
async function slowAndFast(ask: () => Promise<IncomingMessage>, slowFirst: boolean): Promise<Pair> {
  const [first, second] = [await ask(), await ask()]
  const [slow, quick] = slowFirst ? [first, second] : [second, first]
  slow.pause()
  let bytes = 0
  quick.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const fast = whole(quick)
  steps.go()
  await eventually(() => bytes === stops[1])
  return { slow, fast }
}

// The guard: await() in #admit (exchange/coalesce/coalescer.ts). Without it the lead is released after five seconds.
everyStore.test('a follower that must wait for the end waits for no client either', () => sending(false), async (test, fleet) => {
  const stuck = await fleet.a.open('/a')
  stuck.pause()
  const follower = await fleet.a.get('/a', { Range: 'bytes=-3' })
  test.same([follower.status, follower.body], [206, body.subarray(-3)])
  test.equal(await whole(stuck.resume()), digest(body))
  test.equal(fleet.asked(), 1)
}, { cache: { rangeFetch: 'whole' } })

// The guard: `at < this.#start` in Tee.read (exchange/fill/tee.ts).
everyStore.test('a follower that reads nothing delays nobody, and goes on in the store', stepping, async (test, fleet) => {
  const { slow, fast } = await slowAndFast(() => fleet.a.open('/a'), false)
  steps.go()
  test.equal(await fast, digest(body))
  test.equal(digest((await fleet.b.get('/a')).body), digest(body))
  test.equal(await whole(slow.resume()), digest(body))
  test.equal(fleet.asked(), 1)
})

interface Scene extends Pair {
  readonly house: TestProxy
}

async function scene(test: Test, slowFirst: boolean, cache: Readonly<Record<string, unknown>> = {}): Promise<Scene> {
  const house = await startProxy(test, { origin: stepping(), host: 'api.example.com', cache })
  const ask = (): Promise<IncomingMessage> =>
    new Promise(resolve => {
      open(house.port, { path: '/a', headers: ['Host', 'api.example.com'] }, resolve)
    })
  return { house, ...await slowAndFast(ask, slowFirst) }
}

// The guard: #readRest in exchange/fill/tee.ts throws BodyGone, and ResumedBody (exchange/deliver/resumed-body.ts) fetches and compares.
for (const slowFirst of [true, false]) {
  const who = slowFirst ? 'leader' : 'follower'
  for (const [what, next, ends] of [['has the same', body, digest(body)], ['has another', other, 'cut']] as const) {
    t.test(`a slow ${who} of a response that turns out too large fetches again, and the origin ${what}`, async test => {
      const { slow, fast } = await scene(test, slowFirst, { maxEntryBytes: '14MB' })
      steps.later = next
      steps.go()
      test.equal(await fast, digest(body))
      test.equal(await whole(slow.resume()), ends)
      test.equal(steps.asked, 2)
    })
  }

  t.test(`a purge meanwhile stores nothing, and a slow ${who} fetches again`, async test => {
    const { house, slow, fast } = await scene(test, slowFirst)
    test.equal((await house.purge({ urls: ['http://api.example.com/a'] })).status, 200)
    steps.go()
    test.equal(await fast, digest(body))
    test.equal(await whole(slow.resume()), digest(body))
    test.equal(steps.asked, 2)
  })
}

// The guard: `written` in Tee.read and availableFrom (exchange/fill/tee.ts). Without it the third client waits for the end.
t.test('a client that comes when the window has lost the beginning has what was received at once, from the memory of the store', async test => {
  const { house, slow, fast } = await scene(test, false)
  let bytes = 0
  const late = await new Promise<IncomingMessage>(resolve => {
    open(house.port, { path: '/a', headers: ['Host', 'api.example.com'] }, resolve)
  })
  late.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const lateBody = whole(late)
  await eventually(() => bytes === stops[1])
  steps.go()
  test.same([await fast, await lateBody, await whole(slow.resume())], [digest(body), digest(body), digest(body)])
  test.equal(steps.asked, 1)
})

t.test('a client that reads nothing and leaves changes nothing', async test => {
  const { house, slow, fast } = await scene(test, true)
  slow.destroy()
  steps.go()
  test.equal(await fast, digest(body))
  test.equal(digest((await house.get('/a')).body), digest(body))
  test.equal(steps.asked, 1)
})

t.test('the same over HTTP/2: a stream that is not read delays neither another stream nor a client of HTTP/1.1', async test => {
  const house = await startProxy(test, { origin: sending(true), host: 'api.example.com', config: { proxy: { host: '127.0.0.1', port: 0, h2c: true } } })
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${house.port}`)
  test.teardown(() => session.destroy())
  await new Promise(resolve => {
    session.once('connect', resolve)
  })
  // Bytes that a stream does not read count against the window of the session, too.
  session.setLocalWindowSize(8_000_000)
  const stream = async (): Promise<ClientHttp2Stream> => {
    const request = session.request({ ':path': '/a', ':authority': 'api.example.com' })
    await new Promise(resolve => {
      request.once('response', resolve)
    })
    return request
  }
  const stuck = await stream()
  const fast = await stream()
  test.equal(await whole(fast), digest(body))
  test.equal(digest((await house.get('/a')).body), digest(body))
  test.equal(await whole(stuck), digest(body))
  test.equal(house.origin.requests.length, 1)
})
