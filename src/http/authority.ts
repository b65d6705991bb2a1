// The authority of a request (host and port), in the one spelling that keys and routes use (RFC 9110 §7.2).

/**
 * Returns `uri-host [":" port]` as keys and routes compare it: lower case, without the scheme's default port, IPv6 literals
 * in canonical form. Returns undefined for anything else, which RFC 9112 §3.2 rejects with 400.
 *
 * A trailing dot stays. `example.com.` names the same host in DNS, but an origin may copy the received Host into its
 * response. That response must not reach a client that requested `example.com`.
 *
 * Percent-encoding, which RFC 3986 §3.2.2 has for names outside DNS, is refused: origins differ in whether they decode it. A
 * second spelling of a name would be a second key, which a purge of the first does not reach.
 */
export function normaliseAuthority(host: string, scheme: 'http' | 'https'): string | undefined {
  // Runs on every request. Nearly always the host is a plain name in lower case, which is returned as it is.
  let labelLength = 0
  for (let i = 0; i < host.length; i++) {
    const char = host.charCodeAt(i)
    if ((char >= 0x61 && char <= 0x7a) || (char >= 0x30 && char <= 0x39) || char === 0x2d) labelLength++
    else if (char === 0x2e && labelLength > 0) labelLength = 0
    else if (char === 0x3a && labelLength > 0 && isPlainPort(host, i + 1, scheme)) break
    else return normaliseUncommon(host, scheme)
  }
  return host === '' || host.length > maxHostLength ? normaliseUncommon(host, scheme) : host
}

/** True if the rest is a port that may stay as it is written: without a leading zero, and not the scheme's default. */
function isPlainPort(host: string, start: number, scheme: 'http' | 'https'): boolean {
  if (host.charCodeAt(start) === 0x30 || host.length - start > 5) return false
  let port = 0
  for (let i = start; i < host.length; i++) {
    const digit = host.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port > 0 && port <= 65_535 && port !== defaultPorts[scheme]
}

// RFC 1035 §2.3.4. RFC 3986 §3.2.2 requires no more of a registered name.
const maxHostLength = 255

const defaultPorts = { http: 80, https: 443 } as const

// reg-name (RFC 3986 §3.2.2) in labels: unreserved and sub-delims; the last label may be empty.
const registeredName = /^(?:[a-z0-9_~!$&'()*+,;=-]+\.)*[a-z0-9_~!$&'()*+,;=-]+\.?$/
const uncommon = /^(\[[0-9a-f:.]*\]|[^[\]:]*)(?::(\d{0,5}))?$/

function normaliseUncommon(host: string, scheme: 'http' | 'https'): string | undefined {
  if (host.length > maxHostLength + 6) return undefined // a port and its colon
  const match = uncommon.exec(host.toLowerCase())
  if (match === null) return undefined
  const name = normaliseHost(match[1] as string)
  if (name === undefined) return undefined
  // RFC 3986 §3.2.3: a port may be empty, and then means the scheme's default.
  const port = match[2] === undefined || match[2] === '' ? defaultPorts[scheme] : Number(match[2])
  if (port < 1 || port > 65_535) return undefined
  return port === defaultPorts[scheme] ? name : `${name}:${port}`
}

function normaliseHost(name: string): string | undefined {
  if (name.startsWith('[')) {
    const url = `http://${name}/`
    return URL.canParse(url) ? new URL(url).hostname : undefined
  }
  return name.length <= maxHostLength && registeredName.test(name) ? name : undefined
}

/**
 * Returns an authority as purges compare it: without the final dot of its name, and without port 80 or 443. Purges name no
 * scheme, so both are default ports. `example.com.` is the same host in DNS. Keys distinguish these spellings.
 */
export function purgeHost(authority: string): string {
  // Runs at lookups. Nearly always nothing changes.
  const end = authority.endsWith(':80') ? -3 : authority.endsWith(':443') ? -4 : authority.length
  const host = withoutFinalDot(authority.slice(0, end))
  return host.includes('.:') ? host.replace('.:', ':') : host
}

/** Returns a host name without a final dot. */
export function withoutFinalDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host
}

/**
 * The parts of a request target in absolute-form (RFC 9112 §3.2.2). The authority is as received; `normaliseAuthority`
 * judges it.
 */
export interface AbsoluteForm {
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** The origin-form of the same request: path and query, their bytes untouched; `/` where the path was empty. */
  readonly target: string
}

/** Splits `http://host/path?query`. Undefined for every other form, including other schemes and targets with a fragment. */
export function absoluteForm(target: string): AbsoluteForm | undefined {
  const match = /^(https?):\/\/([^/?#\\]*)([/?][^#]*)?$/i.exec(target)
  if (match === null) return undefined
  const rest = match[3] ?? '/'
  return {
    scheme: (match[1] as string).toLowerCase() as 'http' | 'https',
    authority: match[2] as string,
    target: rest.startsWith('?') ? `/${rest}` : rest,
  }
}
