// A response to POST whose own purge failed: it is passed on, and not stored.
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { routeRequest, type RoutedRequest } from '../../src/exchange/routed-request.ts'
import { noObserver } from '../../src/exchange/client/observer.ts'
import { routedExchange } from '../support/exchange.ts'
import { Pass } from '../../src/exchange/pass/pass.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { SpringhouseError } from '../../src/errors.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { PurgeLog } from '../../src/store/purge/log.ts'
import { overLog } from '../admin/support.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'

const own = ['content-location', '/a', 'cache-control', 'max-age=60']

function passed(change: (log: PurgeLog) => PurgeLog = log => log) {
  const clock = manualClock()
  const routes = compileRoutes(resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } }, routes: [{ match: {}, origin: 'api' }] }))
  const client = { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'test' } as const
  const asked = routeRequest(routes, { method: 'POST', url: '/a', rawHeaders: ['Host', 'api.example'] }, client, 'springhouse')
  const failures: unknown[] = []
  const log = createLocalPurgeLog({ clock })
  const store = createMemoryStore({ maxBytes: 1 << 20, maxEntryBytes: 1 << 16, maxVariants: 8, clock })
  const made = new Pass({
    clock,
    store,
    observer: { ...noObserver, deferred: cause => failures.push(cause) },
    routes: () => routes,
    otherRoutes: () => false,
    purgeLog: change(log),
    purgeWaitMs: 0,
  }, routedExchange(asked as RoutedRequest), 'method')
  return { made, log, failures }
}

t.test('a response whose purge all replicas know of is copied', async t => {
  t.ok(await passed().made.onResponse(200, own))
})

t.test('a purge that could not be recorded: reported in the log, nothing stored', async t => {
  const { made, failures } = passed(log => overLog(log, { append: () => Promise.reject(new SpringhouseError('PURGE_NOT_WRITTEN')) }))
  t.equal(await made.onResponse(200, own), undefined)
  t.equal(failures.length, 1)
})

t.test('a purge that not every live replica has acknowledged: nothing stored', async t => {
  const { made } = passed(log => overLog(log, { append: async (each, waitMs) => ({ ...await log.append(each, waitMs), replicas: { live: 2, acknowledged: 1 } }) }))
  t.equal(await made.onResponse(200, own), undefined)
})

t.test('a purge that may be lost with the server that took it: nothing stored', async t => {
  const { made } = passed(log => overLog(log, { append: async (each, waitMs) => ({ ...await log.append(each, waitMs), copied: false }) }))
  t.equal(await made.onResponse(200, own), undefined)
})

t.test('a purge that was recorded where this replica has not read yet: nothing stored', async t => {
  const { made } = passed(log => overLog(log, { append: async (each, waitMs) => ({ ...await log.append(each, waitMs), id: '9999999999999999' }) }))
  t.equal(await made.onResponse(200, own), undefined)
})

t.test('a matching purge just before its own: nothing stored, though its own has the later id', async t => {
  const { made, log } = passed()
  await log.append(purge({ urls: [{ authority: undefined, target: '/a' }] }), 0)
  t.equal(await made.onResponse(200, own), undefined)
})

t.test('an error changes nothing, and nothing is waited for', async t => {
  const { made } = passed()
  t.equal(made.onResponse(404, own), undefined)
})
