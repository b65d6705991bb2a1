// Keeps other web sites' pages, running in an operator's browser, away from the admin listener.
import { isIPv4 } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SpringhouseError } from '../errors.ts'
import { AdminProblem } from './problems.ts'

/** Whether an IP address, as a socket reports it, is this machine's own. */
function isLoopbackAddress(address: string): boolean {
  return address === '::1' || (isIPv4(address) && address.startsWith('127.')) || address.startsWith('::ffff:127.')
}

/** Whether a Host field names this machine: localhost, 127.0.0.0/8 or [::1], with any port or none. */
export function namesLoopback(host: string): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host.toLowerCase())?.[1]
  return name === 'localhost' || name === '[::1]' || (name !== undefined && isIPv4(name) && name.startsWith('127.'))
}

/** Whether the listener can be reached from this machine alone. One that is not bound to an address yet counts as such. */
function boundToLoopback(app: FastifyInstance): boolean {
  const bound = app.server.address()
  if (bound === null) return true
  return typeof bound !== 'string' && isLoopbackAddress(bound.address)
}

/** An Origin field names this listener itself when its authority is the one that the request came to. `null` never does. */
function isForeign(origin: string, host: string): boolean {
  const authority = /^https?:\/\/(.*)$/i.exec(origin)?.[1]
  return authority === undefined || authority.toLowerCase() !== host.toLowerCase()
}

/** The host that a request names. Of an absolute-form target the authority counts, and not Host (RFC 9112 §3.2.2). */
function hostOf({ raw }: FastifyRequest): string {
  const hosts = raw.rawHeaders.filter((_, i) => i % 2 === 1 && raw.rawHeaders[i - 1]?.toLowerCase() === 'host')
  // §3.2: Node keeps the first of two, and others the second.
  if (hosts.length > 1) throw new SpringhouseError('BAD_REQUEST')
  return /^https?:\/\/([^/?#]*)/i.exec(raw.url ?? '')?.[1] ?? hosts[0] ?? ''
}

/**
 * Refuses what a foreign page could make a browser send. A page that rebinds its own name to 127.0.0.1 is same-origin
 * to the browser, so Origin does not give it away; its Host does. On a listener that others reach by names which are
 * not known here, the token alone decides.
 */
export function refuseOtherSites(app: FastifyInstance): void {
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const host = hostOf(request)
    if (boundToLoopback(app) && !namesLoopback(host)) {
      throw new AdminProblem('MISDIRECTED', { detail: 'This listener is bound to loopback: ask for it as localhost, 127.0.0.1 or [::1].' })
    }
    const origin = request.headers.origin
    if (origin !== undefined && isForeign(origin, host)) throw new AdminProblem('FOREIGN_ORIGIN')
  })
}
