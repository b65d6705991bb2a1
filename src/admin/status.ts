// Status endpoints: health, stats, origins, replicas, configuration.
import type { FastifyInstance } from 'fastify'
import { degraded } from './degraded.ts'
import { AdminProblem } from './problems.ts'
import { statsOf, statsOfAll } from './stats.ts'
import type { AdminParts } from './parts.ts'
import type { Stats } from './worker-report.ts'

/** Adds the status endpoints. @returns a function that reads this process's part of /v1/stats */
export function statusRoutes(app: FastifyInstance, parts: AdminParts): () => Stats {
  const startedMs = parts.clock.monotonic()
  const own = (): Stats => statsOf(parts, startedMs)

  app.get('/healthz', { config: { scope: 'open' } }, async () => ({ status: 'ok' }))

  // Ready without Redis: the proxy still serves, slower, and taking every replica out of service would not help.
  app.get('/readyz', { config: { scope: 'open' } }, async () => {
    if (!parts.ready()) throw new AdminProblem('NOT_READY')
    return { status: 'ready', degraded: degraded(parts) }
  })

  app.get('/v1/stats', { config: { scope: 'read' } }, async () => (parts.workers === undefined ? own() : statsOfAll(own(), await parts.workers.collect('stats'))))

  app.get('/v1/origins', { config: { scope: 'read' } }, async () => ({ origins: parts.origins.status() }))
  app.get('/v1/replicas', { config: { scope: 'read' } }, async () => ({ replicas: await parts.purgeLog.replicas() }))
  app.get('/v1/config', { config: { scope: 'read' } }, async () => parts.config())
  return own
}
