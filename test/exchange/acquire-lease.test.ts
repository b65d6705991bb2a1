// How long a request contends for a lease whose holder never lets go.
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { routeRequest } from '../../src/exchange/routed-request.ts'
import { Coalescer } from '../../src/exchange/coalesce/coalescer.ts'
import { acquireLease } from '../../src/exchange/coalesce/acquire-lease.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import type { Leases } from '../../src/store/lease.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import { manualClock } from '../support/manual-clock.ts'

const routes = compileRoutes(resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } }, routes: [{ match: {}, origin: 'api' }] }))
const client = { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'test' } as const
const asked = routeRequest(routes, { method: 'GET', url: '/a', rawHeaders: ['Host', 'api.example'] }, client, 'springhouse')

// Guard: mostWaitedMs.
t.test('a request goes alone once it has waited for a minute for leases that end in nothing', async (test) => {
  if (typeof asked === 'string') throw new Error(asked)
  const purgeLog = createLocalPurgeLog({ clock: manualClock() })
  for (const waitMs of [50, 2000, 60_000]) {
    let takes = 0
    const leases: Leases = {
      take: async () => {
        takes++
        return { kind: 'heldElsewhere', token: `holder ${takes}`, stamp: purgeLog.applied, waitMs, ended: async () => 'expired', leave: () => {} }
      },
      close: async () => {},
    }
    const observer = new Counters()
    test.equal(await acquireLease({ leases, purgeLog, observer, coalesceWaitMs: 60_000 }, asked, new Coalescer(purgeLog, 60_000).beginFetch('a', purgeLog.applied)), 'fetch')
    test.equal(takes, 60_000 / waitMs, `waits of ${waitMs} ms`)
    test.equal(observer.snapshot().waits, 1, 'however often it tries again, it waits once')
  }
})
