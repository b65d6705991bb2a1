// A request that waited for another's fetch, and is then given something stale: it says so.
import t from 'tap'
import { detail, startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'

t.test('a response that is stale at the end of the wait for it says why it is served all the same', async t => {
  let release: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      release = () => response.writeHead(200, { 'Cache-Control': 'max-age=1, stale-while-revalidate=60', 'Age': '5' }).end('old')
    },
  })
  const first = house.get('/a')
  await house.origin.nth(1)
  const second = house.get('/a')
  await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { waits: number }).waits === 1)
  release()
  t.equal((await first).body.toString(), 'old')
  const answer = await second
  t.equal(answer.body.toString(), 'old')
  t.equal(detail(answer), 'stale-while-revalidate')
  t.match(answer.header('cache-status'), /^springhouse; hit; ttl=-4; detail/)
  await house.origin.nth(2)
  release()
})
