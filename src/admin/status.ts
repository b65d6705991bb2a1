// What the listener tells of the process itself: health, counters, origins, replicas, configuration.
import type { FastifyInstance } from 'fastify'
import type { AdminParts } from './admin.ts'
import { degraded } from './degraded.ts'
import { AdminProblem } from './problems.ts'

export function statusRoutes(app: FastifyInstance, parts: AdminParts): void {
  const startedMs = parts.clock.monotonic()

  app.get('/healthz', { config: { scope: 'open' } }, async () => ({ status: 'ok' }))

  // Ready while Redis is gone: the proxy then works on, slower, and taking every replica out of service would not help.
  app.get('/readyz', { config: { scope: 'open' } }, async () => {
    if (!parts.ready()) throw new AdminProblem('NOT_READY')
    return { status: 'ready', degraded: degraded(parts) }
  })

  app.get('/v1/stats', { config: { scope: 'read' } }, async () => {
    const counters = parts.counters.snapshot()
    return {
      version: parts.version,
      /** Of several workers, the one that answers: what follows is its own. */
      pid: process.pid,
      uptimeMs: Math.round(parts.clock.monotonic() - startedMs),
      ...counters,
      /** Of all requests that were decided on; null before the first. */
      hitRatio: counters.requests === 0 ? null : counters.hits / counters.requests,
      store: { ...parts.store.stats(), degraded: degraded(parts) },
      purgeLog: { applied: parts.purgeLog.applied, revision: parts.purgeLog.revision, current: parts.purgeLog.current() },
    }
  })

  app.get('/v1/origins', { config: { scope: 'read' } }, async () => ({ origins: parts.origins.status() }))
  app.get('/v1/replicas', { config: { scope: 'read' } }, async () => ({ replicas: await parts.purgeLog.replicas() }))
  app.get('/v1/config', { config: { scope: 'read' } }, async () => parts.config())
}
