// The request fields with which a client could steer an origin behind the proxy's back.

/**
 * Fields that backends and frameworks obey although no specification makes a client their author: they say where the
 * request came from, which host, path or method it is "really" for. The proxy neither keys nor checks them, so one that
 * passed from an untrusted client could poison a stored response (a page with another host's links, the answer to another
 * path) or walk around a rule that was applied to the visible target. They pass only from a trusted proxy.
 *
 * X-Forwarded-For, -Proto, -Host and Forwarded are not here: the proxy makes them itself.
 */
export const steeringFields: ReadonlySet<string> = new Set([
  // Scheme, port and prefix that links are built from, beside all that begins with x-forwarded.
  'forwarded-for', 'x-url-scheme', 'x-scheme', 'x-proto', 'x-protocol', 'x-https', 'x-ssl', 'x-arr-ssl', 'front-end-https', 'x-script-name',
  'x-port', 'x-base-url', 'x-path-info',
  // Another host than Host's.
  'x-host', 'x-original-host', 'x-host-override', 'x-http-host', 'x-http-host-override', 'x-backend-host', 'x-server-name',
  // Another target than the request line's.
  'x-original-url', 'x-original-uri', 'x-original-path', 'x-rewrite-url', 'x-rewrite-uri', 'x-override-url', 'x-http-destinationurl',
  'x-http-path-override', 'x-request-uri', 'x-envoy-original-path', 'x-accel-redirect', 'x-matched-path', 'x-invoke-path', 'x-invoke-query',
  'x-invoke-status', 'x-now-route-matches',
  // Another method than the request line's: a GET that the cache may share must stay one at the origin.
  'x-http-method-override', 'x-http-method', 'x-http-verb', 'x-method', 'x-method-override', 'x-override-method', 'x-original-method',
  'http-method-override',
  // The client's address, as other proxies tell it.
  'x-real-ip', 'x-client-ip', 'client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip', 'x-cluster-client-ip',
  'x-original-forwarded-for', 'x-original-remote-addr', 'x-remote-addr', 'x-remote-ip', 'x-originating-ip', 'x-proxyuser-ip', 'x-true-client-ip',
  'proxy-client-ip', 'wl-proxy-client-ip', 'x-azure-clientip', 'x-envoy-external-address',
  // What CGI would make the proxy of whatever runs there.
  'proxy',
  // Hints between the layers of one framework, which an outsider has no part in.
  'x-middleware-subrequest', 'x-middleware-rewrite', 'x-sendfile-type', 'x-accel-mapping',
])

/** Fields that the proxy writes itself; in an underscore spelling they are somebody else's. */
const madeByProxy: ReadonlySet<string> = new Set([
  'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id', 'via', 'host', 'authorization', 'cookie',
])

/**
 * Whether an untrusted client's field is left behind. CGI, WSGI and their kind read `X_Forwarded_For` and
 * `X-Forwarded-For` as the same variable, so an underscore spelling of a guarded name counts as that name.
 */
export function isSteering(name: string): boolean {
  if (steeringFields.has(name) || name.startsWith('x-forwarded')) return true
  if (!name.includes('_')) return false
  const dashed = name.replaceAll('_', '-')
  return steeringFields.has(dashed) || dashed.startsWith('x-forwarded') || madeByProxy.has(dashed)
}
