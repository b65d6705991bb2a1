// The audit trail: each change, login and refusal has a line, and nothing else has.
import tap from 'tap'
import { listen, purger, reader } from './support.ts'

// The guard: auditRequests in admin/admin.ts.
tap.test('each change, login and refusal is a line with token, action, what, remote, status and ms', async (t) => {
  let nowMs = 1_000
  const { ask, logged } = await listen(t, () => ({
    clock: { now: () => nowMs, monotonic: () => nowMs },
    reload: async () => {
      nowMs += 12
      return { done: true, waiting: [] }
    },
    tokens: [{ name: 'dashboard', token: reader, scopes: ['read'] }, { name: 'deploy', token: purger, scopes: ['read', 'purge', 'admin'] }],
  }))
  const lines = (): unknown[] =>
    logged.splice(0).filter(({ msg }) => msg === 'audit').map(({ level, token, action, what, remote, status, ms }) => [level, token, action, what, remote, status, ms])
  const line = (token: string | null, action: string, what: string, status: number, ms = 0): unknown[] => [30, token, action, what, '127.0.0.1', status, ms]

  for (const path of ['/v1/stats', '/v1/purges', '/healthz', '/metrics']) await ask(path)
  t.same(lines(), [], 'what only reads has none')
  await ask('/v1/purge', { token: purger, body: { tags: ['red', 'blue'], urls: ['http://a/x?secret=1'], soft: true } })
  await ask('/v1/purge', { token: purger, body: { all: true } })
  await ask('/v1/purge', { token: purger, body: { prefixes: ['/v1/'] } })
  await ask('/v1/purge', { token: purger, body: {} })
  await ask('/v1/reload', { token: purger, method: 'POST' })
  t.same(lines(), [
    line('deploy', 'purge', 'tag red and 2 more, soft', 200),
    line('deploy', 'purge', 'everything', 200),
    line('deploy', 'purge', '/v1/…', 200),
    line('deploy', 'purge', 'POST /v1/purge', 400),
    line('deploy', 'reload', 'the configuration', 200, 12),
  ])
  await ask('/v1/login', { token: null, body: { token: reader } })
  await ask('/v1/login', { token: null, body: { token: 'a-guess-at-a-token' } })
  await ask('/v1/login', { method: 'DELETE' })
  await ask('/v1/stats?x=secret', { token: null })
  await ask('/v1/stats', { token: 'a-guess-at-a-token' })
  await ask('/v1/purge', { token: reader, body: { all: true } })
  await ask('/no-such-path', { token: null })
  await ask('/healthz', { headers: { origin: 'https://evil.example' } })
  t.notMatch(JSON.stringify(logged), /secret|guess/)
  t.same(lines(), [
    line('dashboard', 'login', 'dashboard', 200),
    line(null, 'login', 'POST /v1/login', 401),
    line('dashboard', 'logout', 'DELETE /v1/login', 204),
    line(null, 'refused', 'GET /v1/stats', 401),
    line(null, 'refused', 'GET /v1/stats', 401),
    line('dashboard', 'purge', 'POST /v1/purge', 403),
    line(null, 'refused', 'GET /no-such-path', 401),
    line(null, 'refused', 'GET /healthz', 403),
  ])
  for (let i = 0; i < 10; i++) await ask('/v1/stats', { token: `a-guess-at-a-token-${i}` })
  t.same(lines().at(-1), line(null, 'refused', 'GET /v1/stats', 429))
})
