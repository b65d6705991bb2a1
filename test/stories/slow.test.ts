// An origin that hangs: with staleIfSlow a stale response is served, and the fetch goes on.
import t from 'tap'
import { startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'

// The guards: #originIsSlow in exchange/fill/fill.ts, and #waitOrServeStale in exchange/handle.ts for those that wait for a leader.
t.test('the leader and its followers get the stale response, and the next request the new one', async test => {
  let hold: (() => void) | undefined
  let version = 'old'
  const house = await startProxy(test, {
    cache: { staleIfSlow: '20ms' },
    origin: async (_request, response) => {
      const body = version
      if (version === 'new')
        await new Promise<void>(resolve => {
          hold = resolve
        })
      response.writeHead(200, { 'cache-control': 'max-age=60' }).end(body)
    },
  })
  await house.get('/a')
  version = 'new'
  house.clock.advance(61_000)
  const answers = await Promise.all(Array.from({ length: 5 }, () => house.get('/a')))
  for (const answer of answers) {
    test.equal(answer.body.toString(), 'old')
    test.match(answer.header('cache-status'), /detail=stale-if-slow/)
  }
  test.equal(house.origin.requests.length, 2)
  hold?.()
  await eventually(async () => (await house.get('/a')).body.toString() === 'new')
  test.equal(house.origin.requests.length, 2)
})

t.test('a request that wants no stale response waits', async test => {
  let requests = 0
  const house = await startProxy(test, {
    cache: { staleIfSlow: '5ms' },
    origin: async (_request, response) => {
      if (++requests > 1) await new Promise(resolve => setTimeout(resolve, 50))
      response.writeHead(200, { 'cache-control': 'max-age=60' }).end(String(requests))
    },
  })
  await house.get('/a')
  test.equal((await house.get('/a', { 'Cache-Control': 'no-cache' })).body.toString(), '2')
  test.equal((await house.get('/b')).body.toString(), '3', 'nor one for which nothing is stored')
})
