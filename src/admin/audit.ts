// The audit trail: a line of the log for each change, each login and each refusal.
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The action that the audit line of a route names. A route that changes nothing has none. */
    audit?: string
  }
  interface FastifyRequest {
    /** The subject of the request, for its audit line; '' for nothing beside its action. */
    audited: string
    /** The action of the audit line, if the request itself decides; '' for that of the route. */
    auditAction: string
    /** When its head was received, by the monotonic clock. */
    receivedMs: number
  }
}

/** The statuses of a refusal: without a token, without a scope, too often. */
const refusals: ReadonlySet<number> = new Set([401, 403, 429])
const maxChars = 200

/** Adds the trail. Called before any other hook, so that it sees each request. */
export function auditRequests(app: FastifyInstance, { clock, logger }: { readonly clock: Clock; readonly logger: FastifyBaseLogger }): void {
  app.decorateRequest('audited', '')
  app.decorateRequest('auditAction', '')
  app.decorateRequest('receivedMs', 0)
  app.addHook('onRequest', async request => {
    request.receivedMs = clock.monotonic()
  })
  app.addHook('onResponse', async (request, reply) => {
    const action = actionOf(request, reply)
    if (action === undefined) return
    const ms = Math.round(clock.monotonic() - request.receivedMs)
    const what = shortened(request.audited || `${request.method} ${pathOf(request)}`)
    logger.info({ token: request.tokenName || null, action, what, remote: request.socket.remoteAddress ?? null, status: reply.statusCode, ms }, 'audit')
  })
}

function actionOf({ routeOptions, auditAction }: FastifyRequest, { statusCode }: FastifyReply): string | undefined {
  // A login that fails is a login: its status says so.
  const action = auditAction === '' ? routeOptions.config.audit : auditAction
  return action ?? (refusals.has(statusCode) ? 'refused' : undefined)
}

// Without the query, which may hold anything.
function pathOf({ url }: FastifyRequest): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

function shortened(text: string): string {
  return text.length <= maxChars ? text : `${text.slice(0, maxChars)}…`
}
