import tap from 'tap'
import type { Origins } from '../../src/origin/origin.ts'
import { closedPort, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import type { ScriptedOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, handClock, originsOf, pass } from './origins-under-test.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

async function named(name: string): Promise<ScriptedOrigin> {
  return startOrigin((_request, response) => response.end(name))
}

async function bodies(origins: Origins, count: number): Promise<string[]> {
  const seen: string[] = []
  for (let i = 0; i < count; i++) seen.push((await fetchFrom(origins)).body.toString())
  return seen
}

tap.test('round-robin goes from server to server', async (t) => {
  const [a, b, c] = [await named('a'), await named('b'), await named('c')]
  const origins = originsOf({ servers: [a.url, b.url, c.url] })
  t.teardown(async () => {
    await origins.close()
    for (const origin of [a, b, c]) await origin.close()
  })
  t.strictSame(await bodies(origins, 6), ['a', 'b', 'c', 'a', 'b', 'c'])
})

tap.test('least-pending chooses the server with the fewest requests in flight', async (t) => {
  const held: (() => void)[] = []
  const slow = await startOrigin((_request, response) => held.push(() => response.end('slow')))
  const quick = await named('quick')
  const origins = originsOf({ servers: [slow.url, quick.url], balance: 'least-pending' })
  t.teardown(async () => {
    await origins.close()
    await slow.close()
    await quick.close()
  })
  const first = fetchFrom(origins)
  await slow.nth(1)
  t.strictSame(await bodies(origins, 5), Array.from({ length: 5 }, () => 'quick'))
  held[0]?.()
  t.equal((await first).body.toString(), 'slow')
})

tap.test('when one of two servers is killed no GET fails', async (t) => {
  const [a, b] = [await named('a'), await named('b')]
  const origins = originsOf({ servers: [a.url, b.url] })
  t.teardown(async () => {
    await origins.close()
    await b.close()
  })
  t.strictSame(await bodies(origins, 4), ['a', 'b', 'a', 'b'])
  await a.close()
  t.strictSame(await bodies(origins, 8), Array.from({ length: 8 }, () => 'b'))
})

tap.test('three failed connections in a row eject a server, for times that double until it responds', async (t) => {
  const clock = handClock()
  let refused = 0
  // Accepts, and closes before it responds: a failed connection that can be counted.
  let dead = true
  const flaky = await startRawOrigin((socket) =>
    socket.on('data', () => {
      if (!dead) return socket.end(ok)
      refused++
      return socket.end()
    })
  )
  const steady = await startOrigin((_request, response) => response.end('steady'))
  const origins = originsOf({ servers: [flaky.url, steady.url] }, clock)
  t.teardown(async () => {
    await origins.close()
    await flaky.close()
    await steady.close()
  })
  const healthy = (): boolean | undefined => origins.status()[0]?.healthy

  await bodies(origins, 6)
  t.equal(refused, 3)
  t.equal(healthy(), false)
  t.match(origins.status()[0], { consecutiveFailures: 3, pending: 0 })
  await bodies(origins, 10)
  t.equal(refused, 3, 'it is left alone')
  clock.advance(999)
  await bodies(origins, 4)
  t.equal(refused, 3, 'for a second')
  clock.advance(1)
  t.strictSame(await bodies(origins, 4), ['steady', 'steady', 'steady', 'steady'])
  t.equal(refused, 4, 'then one request is its trial, and gets its response from the other')
  clock.advance(1_999)
  await bodies(origins, 4)
  t.equal(refused, 4, 'the next term is twice as long')
  dead = false
  clock.advance(1)
  t.strictSame((await bodies(origins, 4)).sort(), ['ok', 'ok', 'steady', 'steady'])
  t.equal(healthy(), true)
  t.equal(origins.status()[0]?.consecutiveFailures, 0)
})

tap.test('when every server is out, every server is tried', async (t) => {
  const only = await startRawOrigin((socket) => socket.on('data', () => socket.end()))
  const origins = originsOf({ servers: [only.url], retries: 0 })
  t.teardown(async () => {
    await origins.close()
    await only.close()
  })
  for (let i = 0; i < 6; i++) t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_RESET')
  t.equal(only.connections.length, 6)
  t.equal(origins.status()[0]?.healthy, false)
})

tap.test('a pool whose living servers are full is busy, and does not try the dead ones', async (t) => {
  const held: (() => void)[] = []
  const alive = await startOrigin((request, response) => (request.url === '/hold' ? held.push(() => response.end()) : response.end('alive')))
  const dead = await startRawOrigin((socket) => socket.on('data', () => socket.destroy()))
  const origins = originsOf({ servers: [alive.url, dead.url], balance: 'least-pending', maxConnections: 1, maxQueue: 0 })
  t.teardown(async () => {
    await origins.close()
    await alive.close()
    await dead.close()
  })
  while (origins.status()[1]?.healthy === true) await fetchFrom(origins)
  const tried = dead.connections.length
  const holding = fetchFrom(origins, { target: '/hold' })
  await alive.nth(alive.requests.length + 1)
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_BUSY')
  t.equal(dead.connections.length, tried)
  held[0]?.()
  await holding
})

tap.test('a keep-alive connection that the server was just closing costs one repetition, and no failure', async (t) => {
  let requests = 0
  const origin = await startRawOrigin((socket, number) => {
    let answered = 0
    socket.on('data', () => {
      requests++
      // The first connection responds once, and closes instead of responding again.
      if (number === 1 && ++answered > 1) socket.destroy()
      else socket.write(ok)
    })
  })
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  t.strictSame(await bodies(origins, 2), ['ok', 'ok'])
  t.equal(origin.connections.length, 2)
  t.equal(requests, 3)
  t.equal(origins.status()[0]?.consecutiveFailures, 0)
})

tap.test('a new connection to the only server is not repeated after a reset', async (t) => {
  const origin = await startRawOrigin((socket) => socket.on('data', () => socket.destroy()))
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_RESET')
  t.equal(origin.connections.length, 1)
})

tap.test('no request is repeated because of its response, or after a response has begun', async (t) => {
  for (const answer of ['HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun', 'HTTP/1.1 2']) {
    const broken = await startRawOrigin((socket) => socket.on('data', () => socket.end(answer)))
    const other = await named('other')
    const origins = originsOf({ servers: [broken.url, other.url] })
    const got = await fetchFrom(origins)
    t.not(got.body.toString(), 'other', answer)
    t.equal(other.requests.length, 0)
    await origins.close()
    await broken.close()
    await other.close()
  }
})

tap.test('as often as `retries` says, and no more', async (t) => {
  const servers: string[] = []
  for (let i = 0; i < 4; i++) {
    const resetting = await startRawOrigin((socket) => socket.on('data', () => socket.resetAndDestroy()))
    t.teardown(() => resetting.close())
    servers.push(resetting.url)
  }
  const last = await named('last')
  t.teardown(() => last.close())
  for (const [retries, expected] of [[0, 'ORIGIN_RESET'], [1, 'ORIGIN_RESET'], [4, 'last']] as const) {
    const origins = originsOf({ servers: [...servers, last.url], retries })
    const got = await fetchFrom(origins)
    t.equal(got.error?.code ?? got.body.toString(), expected)
    await origins.close()
  }
})

tap.test('a request is not tried again on a server that has failed it', async (t) => {
  const tried: number[] = []
  const dead = await Promise.all([0, 1, 2].map((number) =>
    startRawOrigin((socket) =>
      socket.on('data', () => {
        tried.push(number)
        socket.destroy()
      })
    )
  ))
  const last = await named('last')
  const origins = originsOf({ servers: [...dead.map(({ url }) => url), last.url], retries: 3 })
  t.teardown(async () => {
    await origins.close()
    for (const origin of [...dead, last]) await origin.close()
  })
  t.strictSame(await bodies(origins, 2), ['last', 'last'])
  t.ok(tried.length <= 6 && new Set(tried.slice(0, 3)).size === Math.min(3, tried.length), tried.join())
})

tap.test('a server that fails two health checks is out until it passes one', async (t) => {
  let status = 200
  let checks = 0
  const checked = await startOrigin((request, response) => {
    if (request.url === '/healthz') checks++
    response.writeHead(request.url === '/healthz' ? status : 200)
    response.end('checked')
  })
  const other = await startOrigin((_request, response) => response.end('other'))
  const origins = originsOf({ servers: [checked.url, other.url], health: { path: '/healthz', intervalMs: 5 } })
  t.teardown(async () => {
    await origins.close()
    await checked.close()
    await other.close()
  })
  // The verdict on check n has been reached when check n + 1 arrives.
  async function until(verdict: boolean): Promise<void> {
    while (origins.status()[0]?.healthy !== verdict) await checked.nth(checked.requests.length + 1)
  }
  status = 500
  await until(false)
  t.ok(checks >= 2)
  t.strictSame(await bodies(origins, 4), ['other', 'other', 'other', 'other'])
  status = 204
  await until(true)
  t.strictSame((await bodies(origins, 2)).sort(), ['checked', 'other'])
})

tap.test('a server of weight 3 gets three times as many requests, and not in a row', async (t) => {
  const [a, b] = [await named('a'), await named('b')]
  for (const balance of ['round-robin', 'least-pending'] as const) {
    const origins = originsOf({ servers: [`${a.url} weight=3`, b.url], balance })
    t.strictSame(await bodies(origins, 8), ['a', 'a', 'b', 'a', 'a', 'a', 'b', 'a'], balance)
    await origins.close()
  }
  await a.close()
  await b.close()
})

tap.test('least-pending divides the requests in flight by the weight', async (t) => {
  const held: (() => void)[] = []
  const big = await startOrigin((_request, response) => held.push(() => response.end('big')))
  const small = await startOrigin((_request, response) => held.push(() => response.end('small')))
  const origins = originsOf({ servers: [`${big.url} weight=3`, small.url], balance: 'least-pending' })
  t.teardown(async () => {
    await origins.close()
    await big.close()
    await small.close()
  })
  const all = Array.from({ length: 8 }, () => fetchFrom(origins))
  await Promise.all([big.nth(6), small.nth(2)])
  t.strictSame([big.requests.length, small.requests.length], [6, 2])
  for (const end of held) end()
  await Promise.all(all)
})

tap.test('a request is sent to another server because of a status only if the route says so and it is safe', async (t) => {
  const failing = await startOrigin((request, response) => {
    response.writeHead(request.url === '/500' ? 500 : 503)
    response.end('x'.repeat(100_000))
  })
  const well = await named('well')
  const origins = originsOf({ servers: [failing.url, well.url] })
  t.teardown(async () => {
    await origins.close()
    await failing.close()
    await well.close()
  })
  const statuses = async (request: object): Promise<(number | undefined)[]> => {
    const seen: (number | undefined)[] = []
    for (let i = 0; i < 4; i++) seen.push((await fetchFrom(origins, request)).status)
    return seen
  }
  t.strictSame(await statuses({}), [503, 200, 503, 200])
  t.strictSame(await statuses({ retryOn: [503] }), [200, 200, 200, 200])
  t.strictSame(await statuses({ retryOn: [503], target: '/500' }), [500, 200, 500, 200])
  t.equal(origins.status()[0]?.healthy, true, 'a response is no reason to take a server out')
  const alone = originsOf({ servers: [failing.url] })
  t.equal((await fetchFrom(alone, { retryOn: [503] })).status, 503, 'with no other server, the response is forwarded')
  t.equal((await fetchFrom(alone, { retryOn: [503] })).body.length, 100_000)
  await alone.close()
})

tap.test('retries have a budget: a reserve, and a tenth of the requests', async (t) => {
  const failing = await startOrigin((_request, response) => {
    response.writeHead(503)
    response.end()
  })
  const also = await startOrigin((_request, response) => {
    response.writeHead(503)
    response.end()
  })
  const origins = originsOf({ servers: [failing.url, also.url], maxConnections: 20 })
  t.teardown(async () => {
    await origins.close()
    await failing.close()
    await also.close()
  })
  for (let i = 0; i < 300; i++) await fetchFrom(origins, { retryOn: [503] })
  const retries = failing.requests.length + also.requests.length - 300
  t.ok(retries >= 20 + 29 && retries <= 20 + 30, `${retries} retries of 300 requests`)
})

tap.test('a request that must not be sent twice never uses a connection that has been idle', async (t) => {
  const clock = handClock()
  for (const reuse of ['safe', 'always'] as const) {
    const server = await startOrigin((_request, response) => response.end('ok'))
    const origins = originsOf({ servers: [server.url], reuse, maxConnections: 1 }, clock)
    const post = async (): Promise<void> => {
      await (await pass(origins, { body: Buffer.from('x') })).text()
    }
    const connections = (): number => new Set(server.requests.map(({ socket }) => socket)).size
    await post()
    clock.advance(501)
    await fetchFrom(origins)
    t.equal(connections(), 1, 'a GET takes what is there')
    await post()
    t.equal(connections(), 1, 'at once')
    clock.advance(11)
    await post()
    t.equal(connections(), reuse === 'safe' ? 2 : 1, 'after eleven milliseconds')
    clock.advance(501)
    await post()
    t.equal(connections(), reuse === 'safe' ? 3 : 2, 'after a while')
    await origins.close()
    await server.close()
  }
})

tap.test('servers to which no connection can be made are passed over, however many they are', async (t) => {
  const well = await named('well')
  const gone = await Promise.all([1, 2, 3].map(async () => `http://127.0.0.1:${await closedPort()}`))
  const origins = originsOf({ servers: [...gone, well.url], retries: 0 })
  t.teardown(async () => {
    await origins.close()
    await well.close()
  })
  t.strictSame(await bodies(origins, 4), Array.from({ length: 4 }, () => 'well'))
  const posted = await pass(origins, { body: Buffer.from('x') })
  t.equal(posted.status, 200, 'nothing was sent, so it is safe for a POST too')
  await posted.text()
})
