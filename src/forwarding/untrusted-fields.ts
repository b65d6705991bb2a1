// The request fields with which a client could steer an origin behind the proxy's back.
import { isHopByHop } from '../http/fields.ts'
import { endToEndAlways } from './connection-options.ts'

/** The client's address, as other proxies tell it. */
const addressFields: readonly string[] = [
  'x-real-ip', 'x-client-ip', 'client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip', 'x-cluster-client-ip',
  'forwarded-for', 'x-forward-for', 'x-forwarder-for', 'x-original-for', 'x-custom-ip-authorization',
  'x-original-forwarded-for', 'x-original-remote-addr', 'x-remote-addr', 'x-remote-ip', 'x-originating-ip', 'x-proxyuser-ip', 'x-true-client-ip',
  'proxy-client-ip', 'wl-proxy-client-ip', 'x-azure-clientip', 'x-envoy-external-address', 'x-vercel-forwarded-for', 'x-vercel-proxied-for',
]

/**
 * Fields that backends and frameworks obey although no specification makes a client their author: they say where the
 * request came from, which host, path or method it is "really" for. The proxy neither keys nor checks them, so one that
 * passed from an untrusted client could poison a stored response (a page with another host's links, the answer to another
 * path) or walk around a rule that was applied to the visible target. They pass only from a trusted proxy.
 *
 * X-Forwarded-For, -Proto, -Host and Forwarded are not here: the proxy makes them itself.
 */
export const steeringFields: ReadonlySet<string> = new Set([
  // Scheme, port and prefix that links are built from.
  'x-url-scheme', 'x-scheme', 'x-proto', 'x-protocol', 'x-https', 'x-ssl', 'x-arr-ssl', 'front-end-https', 'x-script-name',
  'x-port', 'x-base-url', 'base-url', 'x-path-info', 'x-original-proto', 'x-original-scheme', 'x-original-port', 'x-original-prefix',
  'x-original-forwarded-proto', 'x-original-forwarded-port', 'x-original-forwarded-prefix', 'x-context-path', 'script-name',
  'x-real-proto', 'x-real-scheme', 'x-real-port', 'forwarded-proto', 'forwarded-port', 'x-forward-proto', 'x-forward-port',
  'cloudfront-forwarded-proto', 'cf-visitor',
  // Another host than Host's.
  'x-host', 'x-original-host', 'x-host-override', 'x-http-host', 'x-http-host-override', 'x-backend-host', 'x-server-name',
  'x-real-host', 'x-proxy-host', 'x-gateway-host', 'forwarded-host', 'forwarded-server', 'x-forward-host', 'x-forward-server',
  'x-original-authority', 'x-original-forwarded-host', 'x-actual-host', 'x-vhost', 'http-host', 'proxy-host',
  // Another target than the request line's.
  'x-original-url', 'x-original-uri', 'x-original-path', 'x-original-query', 'x-rewrite-url', 'x-rewrite-uri', 'x-rewrite-path',
  'x-rewrite-query', 'x-override-url', 'x-http-destinationurl', 'x-http-path-override', 'x-request-uri', 'request-uri', 'x-proxy-url',
  'x-original-request-uri', 'x-ms-original-url', 'x-waws-unencoded-url', 'x-replaced-path',
  'x-url', 'x-uri', 'x-accel-redirect', 'x-matched-path',
  // Another method than the request line's: a GET that the cache may share must stay one at the origin.
  'x-http-method-override', 'x-http-method', 'x-http-verb', 'x-method', 'x-method-override', 'x-override-method', 'x-original-method',
  'http-method-override', 'method-override', 'x-requested-method', 'x-tunnel-method',
  ...addressFields,
  // What CGI would make the proxy of whatever runs there.
  'proxy',
  // Hints between the layers of one framework, which an outsider has no part in.
  'x-sendfile-type', 'x-accel-mapping', 'next-resume', 'x-vercel-isr',
])

/**
 * Beginnings of names that are a framework's or a platform's own: it writes these fields itself, and adds new ones with each version.
 * docs/security.md has the advisories.
 */
export const steeringPrefixes: readonly string[] = [
  'x-forwarded',
  // Next.js.
  'x-middleware-', 'x-invoke-', 'x-prerender-', 'x-now-', 'x-next-',
  'x-react-router-', 'x-astro-', 'x-nuxt-', 'x-envoy-', 'x-vercel-ip-',
]

/**
 * Whether a field names the sender of this hop: even a trusted client's stays behind, for the next hop has another sender. In the key
 * it would give each instance of a gateway entries of its own.
 */
export function namesSender(name: string): boolean {
  return senderFields.has(name)
}

const senderFields: ReadonlySet<string> = new Set(['x-envoy-peer-metadata', 'x-envoy-peer-metadata-id', 'x-envoy-downstream-service-node'])

/**
 * Whether an untrusted client's field is left behind. CGI, WSGI and PHP make one variable of all names that differ only in
 * what is neither letter nor digit: `X_Forwarded_For` and `X.Forwarded.For` are X-Forwarded-For there, and `Content_Length` is
 * a second Content-Length. So another spelling of a field that is guarded, written by the proxy or read by it counts as that one.
 */
export function isUntrustedField(name: string): boolean {
  const spelling = dashed(name)
  if (steeringFields.has(spelling) || steeringPrefix.test(spelling)) return true
  return spelling !== name && (spelling === 'expect' || endToEndAlways.has(spelling) || isHopByHop(spelling, none))
}

/** A lower-case field name as CGI tells it from others, with dashes for what is neither letter nor digit. */
export function dashed(name: string): string {
  return hasOddSign.test(name) ? name.replaceAll(oddSigns, '-') : name
}

const addresses: ReadonlySet<string> = new Set([...addressFields, 'x-forwarded-for'])

/** Whether a field says who asks, and nothing of what. */
export function isClientAddressField(name: string): boolean {
  return addresses.has(name)
}

const oddSigns = /[^a-z0-9-]/g
const hasOddSign = /[^a-z0-9-]/
const steeringPrefix = new RegExp(`^(?:${steeringPrefixes.join('|')})`)
const none: ReadonlySet<string> = new Set()
