// The hosts that a client requested, as a trusted proxy in front reports them: purges name these too.
import { normaliseAuthority, purgeHost } from '../http/authority.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { RequestField } from './vary.ts'

/** Further hosts are not considered. */
export const maxPublicHosts = 8

// The fields as they are forwarded: an untrusted client's values are replaced, or removed (forwarding/trusted-fields.ts).
const hostFields: readonly string[] = ['x-forwarded-host', 'x-original-host']
// Any pair with this name, also in a field that does not parse: origins differ in which pair they read.
const forwardedHost = /(?:^|[;,\t ])host=(?:"([^"]*)"|([^;,"\t ]*))/gi

const none: readonly string[] = []

/**
 * Returns the hosts by which purges find a response, beside the Host of its request, in the form that purges compare. [] for an
 * untrusted client. These hosts never enter the key on their own: the key holds each line that the origin receives. They can
 * only make a purge reach more.
 */
export function publicHosts(authority: string, requestField: RequestField): readonly string[] {
  const hosts = new Set<string>()
  for (const name of hostFields) for (const value of requestField(name)?.split(',') ?? none) addHost(hosts, value)
  for (const [, quoted, plain] of requestField('forwarded')?.matchAll(forwardedHost) ?? []) addHost(hosts, quoted ?? plain ?? '')
  const own = purgeHost(authority)
  const port = withoutOuterSpace(requestField('x-forwarded-port') ?? '')
  // A load balancer may report the port apart from the host.
  if (/^\d{1,5}$/.test(port)) { for (const host of [own, ...hosts]) if (!/:\d+$/.test(host)) addHost(hosts, `${host}:${port}`) }
  hosts.delete(own)
  return hosts.size === 0 ? none : [...hosts]
}

function addHost(hosts: Set<string>, value: string): void {
  const authority = normaliseAuthority(withoutOuterSpace(value), 'http')
  if (authority !== undefined && hosts.size < maxPublicHosts) hosts.add(purgeHost(authority))
}
