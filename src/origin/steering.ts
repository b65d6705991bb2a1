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
  // Scheme, port and prefix that links are built from.
  'x-forwarded-server', 'x-forwarded-scheme', 'x-forwarded-protocol', 'x-forwarded-port', 'x-forwarded-prefix',
  'x-forwarded-path', 'x-forwarded-uri', 'x-forwarded-url', 'x-forwarded-method', 'x-forwarded-ssl', 'x-forwarded-by',
  'x-forwarded', 'forwarded-for', 'x-url-scheme', 'x-scheme', 'x-proto', 'front-end-https', 'x-script-name',
  // Another host than Host's.
  'x-host', 'x-original-host', 'x-http-host-override', 'x-backend-host',
  // Another target than the request line's.
  'x-original-url', 'x-original-uri', 'x-rewrite-url', 'x-envoy-original-path', 'x-accel-redirect',
  // Another method than the request line's: a GET that the cache may share must stay one at the origin.
  'x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-method',
  // The client's address, as other proxies tell it.
  'x-real-ip', 'x-client-ip', 'client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip', 'x-cluster-client-ip',
  'x-original-forwarded-for', 'x-envoy-external-address',
  // Hints between the layers of one framework, which an outsider has no part in.
  'x-middleware-subrequest', 'x-sendfile-type', 'x-accel-mapping',
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
  if (steeringFields.has(name)) return true
  if (!name.includes('_')) return false
  const dashed = name.replaceAll('_', '-')
  return steeringFields.has(dashed) || madeByProxy.has(dashed)
}
