// This machine runs out of descriptors, local ports or memory: an error of the proxy's own, which says nothing about a server.
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import t, { type Test } from 'tap'
import { mapOriginError } from '../../src/origin/failures.ts'
import { createOrigins } from '../../src/origin/origins.ts'
import { watchHealth } from '../../src/origin/pool/health-check.ts'
import { OriginServer } from '../../src/origin/pool/server.ts'
import { SocketBudget } from '../../src/origin/transport/socket-budget.ts'
import { TimeoutSweep } from '../../src/origin/transport/timeout-sweep.ts'
import { eventually } from '../support/log.ts'
import { closedPort, startOrigin } from '../support/scripted-origin.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { fetchFrom, handClock, originsOf, patience, silent } from './origins-under-test.ts'

/** Takes every descriptor of this process; the returned function gives them back. */
function takeAll(t: Test): () => void {
  const taken: number[] = []
  const giveBack = (): void => {
    for (const file of taken.splice(0)) closeSync(file)
  }
  t.teardown(giveBack)
  try {
    for (;;) taken.push(openSync(devNull, 'r'))
  } catch {
    return giveBack
  }
}

t.test('each error of this machine is PROXY_EXHAUSTED, before and behind a head', async (t) => {
  for (const code of ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM', 'EAGAIN']) {
    const error = Object.assign(new Error(code), { code })
    for (const headSeen of [false, true]) t.equal(mapOriginError(error, headSeen).code, 'PROXY_EXHAUSTED', code)
    t.equal(mapOriginError(Object.assign(new AggregateError([error]), { code: undefined })).code, 'PROXY_EXHAUSTED', 'each of several addresses')
  }
})

// The guards: #recover of OriginRequest, #failed of UpgradeTrip, and canOpenFiles for the name.
for (const http2 of [false, true]) {
  t.test(`without a descriptor, requests fail with 503 and their servers are not blamed (${http2 ? 'HTTP/2' : 'HTTP/1.1'})`, async (t) => {
    const origin = http2
      ? await startHttp2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true }), { secure: false })
      : await startOrigin((_request, response) => response.end())
    const port = new URL(origin.url).port
    const origins = originsOf({ servers: [origin.url, `http://localhost:${port}`], http2 })
    t.teardown(async () => {
      await origins.close()
      await origin.close()
    })
    const giveBack = takeAll(t)
    for (let i = 0; i < 6; i++) t.match(await fetchFrom(origins), { error: { code: 'PROXY_EXHAUSTED', status: 503 }, headSeen: false })
    const refused = await new Promise<{ code: string }>((resolve, reject) => {
      origins.upgrade({ origin: 'api', target: '/', fields: ['host', 'a'], protocol: 'websocket' }, { onSwitched: reject, onRefused: reject, onError: resolve })
    })
    t.equal(refused.code, 'PROXY_EXHAUSTED')
    giveBack()
    t.same(origins.status().map(({ healthy, consecutiveFailures, pending }) => [healthy, consecutiveFailures, pending]), [[true, 0, 0], [true, 0, 0]])
    t.equal((await fetchFrom(origins)).status, 200)
  })
}

// The guard: Failover.onExhaustion.
t.test('without a descriptor, a request goes to a server with an idle connection', async (t) => {
  const started = await Promise.all([0, 1].map(() => startOrigin((_request, response) => response.end())))
  const origins = originsOf({ servers: started.map(({ url }) => url) })
  t.teardown(async () => {
    await origins.close()
    for (const origin of started) await origin.close()
  })
  t.equal((await fetchFrom(origins)).status, 200)
  const giveBack = takeAll(t)
  // By turns, the first of these is sent to the server without a connection.
  for (let i = 0; i < 4; i++) t.equal((await fetchFrom(origins)).status, 200)
  giveBack()
  t.same(started.map(({ requests }) => requests.length).toSorted((a, b) => a - b), [0, 5])
  t.same(origins.status().map(({ consecutiveFailures }) => consecutiveFailures), [0, 0])
})

// The guard: isExhaustion in the health check.
t.test('a health check that this machine cannot make counts neither way', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  t.teardown(() => origin.close())
  const sockets = new SocketBudget(Infinity)
  const server = new OriginServer({ origin: 'api', url: origin.url, weight: 1, address: undefined, config: { ...patience, servers: [origin.url] }, clock: handClock(),
    logger: silent, sockets, sweep: new TimeoutSweep() })
  t.teardown(() => server.close())
  let begun = 0
  const results: boolean[] = []
  const giveBack = takeAll(t)
  const checks = watchHealth({
    lines: (most) => {
      const pool = server.lines(most)
      const acquire = pool.acquire.bind(pool)
      return Object.assign(pool, { acquire: (...waiter: Parameters<typeof acquire>) => {
        begun++
        acquire(...waiter)
      } })
    },
    targetOf: (target) => target,
    ownHost: undefined,
    checked: (failure) => results.push(failure === undefined),
  }, { path: '/', intervalMs: 5 })
  t.teardown(() => checks.stop())
  await eventually(() => begun > 4)
  t.same(results, [])
  giveBack()
  await eventually(() => results.length > 0)
  t.equal(results[0], true)
})

// The guard: SocketBudget.take, and closeIdle of both pools.
for (const http2 of [false, true]) {
  t.test(`all origins together open at most so many sockets, and idle ones give way (${http2 ? 'HTTP/2' : 'HTTP/1.1'})`, async (t) => {
    const started = await Promise.all(
      [0, 1, 2].map(() => (http2
        ? startHttp2Origin((stream) => stream.respond({ ':status': 200 }, { endStream: true }), { secure: false })
        : startOrigin((_request, response) => response.end()))
      ),
    )
    const origins = createOrigins({
      origins: Object.fromEntries(started.map(({ url }, i) => [`o${i}`, { ...patience, http2, servers: [url] }])),
      clock: handClock(),
      logger: silent,
      maxSockets: 2,
    })
    t.teardown(async () => {
      await origins.close()
      for (const origin of started) await origin.close()
    })
    // More servers than sockets: an idle connection is closed for each.
    for (const name of ['o0', 'o1', 'o2', 'o0', 'o1', 'o2']) t.equal((await fetchFrom(origins, { origin: name })).status, 200)
  })
}

t.test('when every socket is in use, a further request is refused at once, and its server is not blamed', async (t) => {
  const held = await startOrigin(() => undefined)
  const origins = createOrigins({ origins: { api: { ...patience, servers: [held.url] }, other: { ...patience, servers: [`http://127.0.0.1:${await closedPort()}`] } },
    clock: handClock(), logger: silent, maxSockets: 2 })
  t.teardown(async () => {
    await origins.close()
    await held.close()
  })
  const waiting = [fetchFrom(origins), fetchFrom(origins)]
  await held.nth(2)
  for (const origin of ['api', 'other']) t.match(await fetchFrom(origins, { origin }), { error: { code: 'PROXY_EXHAUSTED' } })
  t.same(origins.status().map(({ consecutiveFailures }) => consecutiveFailures), [0, 0])
  await held.close()
  for (const each of waiting) t.match(await each, { error: { code: 'ORIGIN_RESET' } })
  t.match(await fetchFrom(origins, { origin: 'other' }), { error: { code: 'ORIGIN_REFUSED' } }, 'closed sockets have given their places back')
  for (let i = 0; i < 5; i++) t.match(await fetchFrom(origins, { origin: 'other' }), { error: { code: 'ORIGIN_REFUSED' } }, 'and so has a socket that was never connected')
})
