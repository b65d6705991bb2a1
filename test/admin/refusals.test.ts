// Refused tokens: what the log says of them, and the limit for each address.
import tap from 'tap'
import { listen, purger, reader } from './support.ts'

// Fails without `refusals.refused` in auth.ts.
tap.test('a refused token is logged with its address, and never itself', async (t) => {
  const { ask, logged } = await listen(t)
  t.equal((await ask('/v1/stats', { token: 'a-secret-that-is-wrong' })).status, 401)
  t.equal((await ask('/v1/stats', { token: 'another-secret' })).status, 401)
  t.equal((await ask('/v1/purge', { method: 'POST', body: { all: true } })).status, 403)
  const lines = logged.filter(({ level }) => level === 40)
  t.match(lines, [
    { level: 40, address: '127.0.0.1', msg: 'an admin token is not valid: the request is refused' },
    { level: 40, address: '127.0.0.1', token: 'dashboard', scope: 'purge', msg: 'an admin token lacks the scope of a request: the request is refused' },
  ])
  t.equal(lines.length, 2, 'once a minute')
  t.notMatch(JSON.stringify(logged), new RegExp(`secret|${reader}`))
})

// Fails without `refusals.waitOf` in auth.ts; the clients that are known, without `accepted`.
tap.test('ten invalid tokens from an address in a minute, and it gets 429; a client that was accepted before goes on', async (t) => {
  let nowMs = 5_000
  const { ask, logged } = await listen(t, () => ({ clock: { now: () => 0, monotonic: () => nowMs } }))
  t.equal((await ask('/v1/stats')).status, 200)
  for (let i = 0; i < 10; i++) t.equal((await ask('/v1/stats', { token: `guess-${i}` })).status, 401)
  nowMs += 20_000
  const refused = await ask('/v1/stats', { token: 'guess' })
  t.match([refused.status, refused.headers['retry-after'], refused.json()], [429, '40', { code: 'ADMIN_THROTTLED' }])
  t.equal((await ask('/v1/stats', { token: purger })).status, 429, 'also a right one: nothing is to be learned here')
  t.equal((await ask('/v1/stats')).status, 200)
  t.equal((await ask('/healthz', { token: null })).status, 200)
  nowMs += 40_000
  t.equal((await ask('/v1/stats', { token: 'guess' })).status, 401)
  t.equal((await ask('/v1/purge', { token: purger, method: 'POST', body: { all: true } })).status, 200)
  t.match(logged.filter(({ level }) => level === 40), [{ address: '127.0.0.1' }, { refused: 10 }, { address: '127.0.0.1' }])
})
