// The things that the page says need the operator, the worst first.
import t from 'tap'
import type { Health } from '../../src/page/views/needs.ts'
import { needsOf } from '../../src/page/views/needs.ts'

const stats = { store: { kind: 'tiered', entries: 10, evictions: 0, degraded: [] }, purgeLog: { current: true } }
const health = (change: object): Health => ({ stats, origins: [], replicas: [], ...change }) as unknown as Health
const kindsAndTexts = (given: Health): string[] => needsOf(given).map(({ kind, text }) => `${kind}: ${text}`)

t.test('nothing, if all is well', async t => {
  t.same(needsOf(health({ origins: [{ origin: 'api', url: 'http://a', healthy: true }], replicas: [{ id: 'r', state: 'ok' }, { id: 'local' }] })), [])
  t.same(needsOf({ stats: undefined, origins: [], replicas: [] }), [])
})

t.test('servers that are down, then replicas that are not well, dangers first', async t => {
  const origins = [{ origin: 'api', url: 'http://a', healthy: false, lastError: null }]
  const replicas = [{ id: '1', host: 'web-1', state: 'draining' }, { id: '2', host: 'web-2', state: 'lagging', lagMs: 1_400 }, { id: '3', state: 'silent' }]
  t.same(kindsAndTexts(health({ origins, replicas })), [
    'danger: A server of the origin "api" is down: http://a.',
    'danger: The replica web-2 is lagging: it applies purges 1.4 s late.',
    'danger: The replica 3 is silent.',
    'hint: The replica web-1 is draining.',
  ])
})

t.test('if many replicas are ill, five are named and the others are counted', async t => {
  const replicas = Array.from({ length: 200 }, (_, i) => ({ id: `r${i}`, state: 'silent' }))
  const found = kindsAndTexts(health({ replicas }))
  t.equal(found.length, 6)
  t.equal(found.at(-1), 'danger: 195 more replicas are not well.')
})

t.test('a degraded store, a purge log that is behind, a small memory, other configurations', async t => {
  const change = { store: { ...stats.store, degraded: ['redis'], evictions: 11 }, purgeLog: { current: false }, configuration: { differing: ['r1', 'r2'] } }
  t.same(needsOf(health({ stats: { ...stats, ...change } })).map(({ kind }) => kind), ['danger', 'danger', 'hint', 'hint'])
})
