// Keeps other web sites' pages, running in an operator's browser, away from the admin listener.
import { isIPv4 } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SpringhouseError } from '../errors.ts'
import { AdminProblem } from './problems.ts'

/** Returns whether an IP address, as a socket reports it, is loopback. */
function isLoopbackAddress(address: string): boolean {
  return address === '::1' || (isIPv4(address) && address.startsWith('127.')) || address.startsWith('::ffff:127.')
}

/** Returns whether a Host field names this machine: localhost, 127.0.0.0/8 or [::1], with any port or none. */
export function namesLoopback(host: string): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host.toLowerCase())?.[1]
  return name === 'localhost' || name === '[::1]' || (name !== undefined && isIPv4(name) && name.startsWith('127.'))
}

/** Returns whether only this machine can reach the listener. A listener that is not bound yet counts as such. */
function boundToLoopback(app: FastifyInstance): boolean {
  const bound = app.server.address()
  if (bound === null) return true
  return typeof bound !== 'string' && isLoopbackAddress(bound.address)
}

/** Returns whether an Origin field names another site than the request's host. `null` is always foreign. */
function isForeign(origin: string, host: string): boolean {
  const authority = /^https?:\/\/(.*)$/i.exec(origin)?.[1]
  return authority === undefined || authority.toLowerCase() !== host.toLowerCase()
}

/** Returns the host of a request. In absolute form the target's authority counts, not Host (RFC 9112 §3.2.2). */
function hostOf({ raw }: FastifyRequest): string {
  const hosts = raw.rawHeaders.filter((_, i) => i % 2 === 1 && raw.rawHeaders[i - 1]?.toLowerCase() === 'host')
  // §3.2: with two Host fields, Node keeps the first and others keep the second.
  if (hosts.length > 1) throw new SpringhouseError('BAD_REQUEST')
  return /^https?:\/\/([^/?#]*)/i.exec(raw.url ?? '')?.[1] ?? hosts[0] ?? ''
}

/**
 * Refuses requests that a foreign page can make a browser send. If a page rebinds its own name to 127.0.0.1, it is same-origin for
 * the browser, so Origin does not reveal it, but Host does. On a listener that is not on loopback, valid host names are unknown,
 * so the token alone decides.
 */
export function refuseOtherSites(app: FastifyInstance): void {
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const host = hostOf(request)
    if (boundToLoopback(app) && !namesLoopback(host)) {
      throw new AdminProblem('MISDIRECTED', { detail: 'This listener is bound to loopback: use localhost, 127.0.0.1 or [::1].' })
    }
    const origin = request.headers.origin
    if (origin !== undefined && isForeign(origin, host)) throw new AdminProblem('FOREIGN_ORIGIN')
  })
}
