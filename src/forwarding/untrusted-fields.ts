// Request fields with which a client could steer an origin without the proxy's knowledge.
import { isHopByHop } from '../http/fields.ts'
import { endToEndAlways } from './connection-options.ts'

/** Fields in which other proxies state the client's address. */
const addressFields: readonly string[] = [
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'x-cluster-client-ip',
  'forwarded-for',
  'x-forward-for',
  'x-forwarder-for',
  'x-original-for',
  'x-custom-ip-authorization',
  'x-original-forwarded-for',
  'x-original-remote-addr',
  'x-remote-addr',
  'x-remote-ip',
  'x-originating-ip',
  'x-proxyuser-ip',
  'x-true-client-ip',
  'proxy-client-ip',
  'wl-proxy-client-ip',
  'x-azure-clientip',
  'x-envoy-external-address',
  'x-vercel-forwarded-for',
  'x-vercel-proxied-for',
]

/**
 * Fields that backends and frameworks obey although no specification lets a client set them. They state the request's
 * source, or which host, path or method it is "really" for. The proxy neither keys nor checks them. From an untrusted
 * client, they could poison a stored response: a page with another host's links, or the response to another path. They could
 * also bypass a rule that was applied to the visible target. Therefore they pass only from a trusted proxy.
 *
 * X-Forwarded-For, -Proto, -Host and Forwarded are not listed: the proxy makes them itself.
 */
export const steeringFields: ReadonlySet<string> = new Set([
  // Scheme, port and prefix, from which applications build links.
  'x-url-scheme',
  'x-scheme',
  'x-proto',
  'x-protocol',
  'x-https',
  'x-ssl',
  'x-arr-ssl',
  'front-end-https',
  'x-script-name',
  'x-port',
  'x-base-url',
  'base-url',
  'x-path-info',
  'x-original-proto',
  'x-original-scheme',
  'x-original-port',
  'x-original-prefix',
  'x-original-forwarded-proto',
  'x-original-forwarded-port',
  'x-original-forwarded-prefix',
  'x-context-path',
  'script-name',
  'x-real-proto',
  'x-real-scheme',
  'x-real-port',
  'forwarded-proto',
  'forwarded-port',
  'x-forward-proto',
  'x-forward-port',
  'cloudfront-forwarded-proto',
  'cf-visitor',
  // A host other than Host's.
  'x-host',
  'x-original-host',
  'x-host-override',
  'x-http-host',
  'x-http-host-override',
  'x-backend-host',
  'x-server-name',
  'x-real-host',
  'x-proxy-host',
  'x-gateway-host',
  'forwarded-host',
  'forwarded-server',
  'x-forward-host',
  'x-forward-server',
  'x-original-authority',
  'x-original-forwarded-host',
  'x-actual-host',
  'x-vhost',
  'http-host',
  'proxy-host',
  // A target other than the request line's.
  'x-original-url',
  'x-original-uri',
  'x-original-path',
  'x-original-query',
  'x-rewrite-url',
  'x-rewrite-uri',
  'x-rewrite-path',
  'x-rewrite-query',
  'x-override-url',
  'x-http-destinationurl',
  'x-http-path-override',
  'x-request-uri',
  'request-uri',
  'x-proxy-url',
  'x-original-request-uri',
  'x-ms-original-url',
  'x-waws-unencoded-url',
  'x-replaced-path',
  'x-url',
  'x-uri',
  'x-accel-redirect',
  'x-matched-path',
  // A method other than the request line's: a GET that the cache may share must stay a GET at the origin.
  'x-http-method-override',
  'x-http-method',
  'x-http-verb',
  'x-method',
  'x-method-override',
  'x-override-method',
  'x-original-method',
  'http-method-override',
  'method-override',
  'x-requested-method',
  'x-tunnel-method',
  ...addressFields,
  // CGI programs read this field as their outgoing proxy.
  'proxy',
  // Internal fields between the layers of one framework, which no outsider should set.
  'x-sendfile-type',
  'x-accel-mapping',
  'next-resume',
  'x-vercel-isr',
])

/**
 * Fields in which an authenticating proxy names the user of a request: names, groups, and the result of a TLS client certificate.
 * Applications log their bearer in without a further check. Signed assertions are not listed, because applications verify them,
 * and neither are fields that clients send themselves, such as X-Api-Key, X-Auth-Token or X-User-Id.
 */
export const identityFields: readonly string[] = [
  'x-client-cert',
  'x-client-certificate',
  'x-client-dn',
  'x-client-verify',
  'x-arr-clientcert',
  'x-auth-user',
  'x-auth-username',
  'x-auth-email',
  'x-auth-groups',
  'x-auth-roles',
  'x-authenticated-user',
  'x-authenticated-userid',
  'x-authenticated-groups',
  'x-authenticated-scope',
  'cf-access-authenticated-user-email',
  'x-apigateway-api-userinfo',
  'x-endpoint-api-userinfo',
  'sm-user',
  'sm-userdn',
  'sm-universalid',
  'oam-remote-user',
  'iv-user',
  'iv-groups',
  'iv-creds',
  'x-anonymous-consumer',
  'x-credential-identifier',
]

/** Prefixes of such fields. RFC 9440 defines Client-Cert and Client-Cert-Chain. */
export const identityPrefixes: readonly string[] = [
  'remote-',
  'x-remote-',
  'x-auth-request-',
  'x-ssl-',
  'ssl-client-',
  'x-client-cert-',
  'client-cert',
  'x-ms-client-principal',
  'x-amzn-mtls-',
  'x-amzn-oidc-',
  'x-goog-authenticated-user-',
  'tailscale-',
  'x-webauth-',
  'x-authentik-',
  'x-pomerium-claim-',
  'x-vouch-',
  'x-consumer-',
  'oidc-claim-',
  'shib-',
  'x-tls-client-',
]

/**
 * Prefixes that belong to a framework or platform, which writes these fields itself and adds new ones with each version.
 * docs/security.md lists the advisories.
 */
export const steeringPrefixes: readonly string[] = [
  'x-forwarded',
  // Next.js.
  'x-middleware-',
  'x-invoke-',
  'x-prerender-',
  'x-now-',
  'x-next-',
  'x-react-router-',
  'x-astro-',
  'x-nuxt-',
  'x-envoy-',
  'x-vercel-ip-',
]

/**
 * True if a field names the sender of this hop. It is not forwarded even from a trusted client, because the next hop has
 * another sender. In the key it would give each instance of a gateway its own entries.
 */
export function namesSender(name: string): boolean {
  return senderFields.has(name)
}

const senderFields: ReadonlySet<string> = new Set(['x-envoy-peer-metadata', 'x-envoy-peer-metadata-id', 'x-envoy-downstream-service-node'])

/**
 * True if an untrusted client's field is not forwarded. CGI, WSGI and PHP make one variable of all names that differ only in
 * characters other than letters and digits. There `X_Forwarded_For` and `X.Forwarded.For` are X-Forwarded-For, and
 * `Content_Length` is a second Content-Length. Therefore another spelling of a guarded field counts as that field.
 */
export function isUntrustedField(name: string): boolean {
  const spelling = dashed(name)
  if (steeringFields.has(spelling) || identities.has(spelling) || steeringPrefix.test(spelling)) return true
  return spelling !== name && (spelling === 'expect' || endToEndAlways.has(spelling) || isHopByHop(spelling, none))
}

/** Returns a lower-case field name as CGI distinguishes it, with dashes for all but letters and digits. */
export function dashed(name: string): string {
  return hasOddSign.test(name) ? name.replaceAll(oddSigns, '-') : name
}

const addresses: ReadonlySet<string> = new Set([...addressFields, 'x-forwarded-for'])

/** True if a field states only the client's address, and nothing about the target. */
export function isClientAddressField(name: string): boolean {
  return addresses.has(name)
}

const oddSigns = /[^a-z0-9-]/g
const hasOddSign = /[^a-z0-9-]/
const steeringPrefix = new RegExp(`^(?:${[...steeringPrefixes, ...identityPrefixes].join('|')})`)
const identities: ReadonlySet<string> = new Set(identityFields)
const none: ReadonlySet<string> = new Set()
