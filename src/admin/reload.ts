// POST /v1/reload: reads the configuration again, as SIGHUP does, and says how it went.
import type { FastifyInstance } from 'fastify'
import { AdminProblem } from './problems.ts'
import type { AdminParts } from './parts.ts'

/** Adds the endpoint, unless nothing can reload this process. */
export function reloadRoute(app: FastifyInstance, { reload }: Pick<AdminParts, 'reload'>): void {
  if (reload === undefined) return
  app.post('/v1/reload', { config: { scope: 'admin', audit: 'reload' } }, async (request) => {
    request.audited = 'the configuration'
    const result = await reload()
    request.log.info({ token: request.tokenName, done: result.done }, 'reload requested')
    if (!result.done) throw new AdminProblem('CONFIG_INVALID', { detail: 'The running configuration stays in force.', errors: result.problems })
    return { reloaded: true, waiting: result.waiting }
  })
}
