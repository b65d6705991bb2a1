// Forwarded (RFC 7239) and lists of client addresses, parsed strictly: what is only an address, and what is more.
import { isIPv4, isIPv6 } from 'node:net'
import { withoutOuterSpace } from '../http/white-space.ts'

/** An element of Forwarded: the statement of one proxy about one hop. */
export interface ForwardedElement {
  /** The element as written, without the white space around it. */
  readonly text: string
  /** The element without the addresses in `for` and `by`: `for=;host=h` for `for=1.2.3.4;host=h`. */
  readonly bare: string
  /** The other pairs, joined by semicolons: `host=h`. Empty if the element names only addresses. */
  readonly rest: string
  /** The first value of `for`, `host` and `proto`, without quotes; undefined if it has none. */
  readonly client: string | undefined
  readonly host: string | undefined
  readonly proto: string | undefined
}

// RFC 7239 §4, with the white space around `;` and `,` that proxies write. Matches one pair up to its separator; sticky, so
// that nothing is skipped. The alternatives begin with different bytes, so a value is read once.
const pair = /[\t ]*([!#$%&'*+.^_`|~\w-]+)=("(?:[^"\\]|\\[^])*"|[^\t ,;"]+)[\t ]*(?:([;,])|$)/y

/** True if a value is one element with the address of `for` and then `pairs`, which this proxy adds. Most values are. */
export function tellsAddressAnd(pairs: string, value: string): boolean {
  if (!value.startsWith('for=') || !value.endsWith(pairs)) return false
  const end = value.length - pairs.length - 1
  return value[end] === ';' && isNode(unquoted(value.slice(4, end)))
}

/**
 * Parses the elements of a Forwarded field, its lines joined by commas. `undefined` if any part is outside the grammar: an
 * empty pair or element, white space inside a pair, a quote that does not close. Applications read such a field differently.
 */
export function readForwarded(value: string): readonly ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = []
  let start = 0
  let bare = ''
  let rest = ''
  let told: { client?: string; host?: string; proto?: string } = {}
  pair.lastIndex = 0
  for (;;) {
    const from = pair.lastIndex
    const match = pair.exec(value)
    if (match === null) return undefined
    const [text, name = '', named = '', separator] = match
    const end = separator === undefined ? value.length : pair.lastIndex - 1
    if (namesHop(name) && isNode(unquoted(named))) {
      const valueAt = from + text.indexOf('=') + 1
      bare += value.slice(from, valueAt) + value.slice(valueAt + named.length, end)
    } else {
      bare += value.slice(from, end)
      rest += `${rest === '' ? '' : ';'}${name}=${named}`
    }
    const key = name.toLowerCase()
    if (key === 'for') told.client ??= unquoted(named)
    else if (key === 'host' || key === 'proto') told[key] ??= unquoted(named)
    if (separator === ';') {
      bare += ';'
      continue
    }
    elements.push({ text: withoutOuterSpace(value, start, end), bare: withoutOuterSpace(bare), rest, client: told.client, host: told.host, proto: told.proto })
    if (separator === undefined) return elements
    start = pair.lastIndex
    bare = ''
    rest = ''
    told = {}
  }
}

// RFC 7239 §4: names are case-insensitive.
function namesHop(name: string): boolean {
  return /^(?:for|by)$/i.test(name)
}

// A value with an escape stays as it is, and is then no address: applications differ in whether they undo the escape.
function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

const port = '(?::(?:\\d{1,5}|_[\\w.-]+))?'
const node = new RegExp(`^(?:([\\d.]+)|\\[([\\da-f:.]+)\\]|unknown|_[\\w.-]+)${port}$`, 'i')

/**
 * True if a text is only a node name: an IP address, `unknown` or an obfuscated identifier, with or without a port (RFC 7239
 * §6).
 */
function isNode(text: string): boolean {
  return isIPv4(text) || isAddress(node.exec(text), text)
}

const listed = /^(?:([\d.]+)|\[([\da-f:.]+)\]|unknown)(?::\d{1,5})?$/i

/**
 * True if a value is only a list of IP addresses, with or without ports, as in X-Forwarded-For and similar fields. `unknown`
 * counts as an address, because proxies write it to hide an address.
 */
export function isAddressList(value: string): boolean {
  let start = 0
  for (;;) {
    const comma = value.indexOf(',', start)
    if (!isListedAddress(withoutOuterSpace(value, start, comma === -1 ? value.length : comma))) return false
    if (comma === -1) return true
    start = comma + 1
  }
}

function isListedAddress(text: string): boolean {
  return isIPv4(text) || isAddress(listed.exec(text), text)
}

// An IPv6 address without brackets is not allowed in Forwarded, but is written there. A zone (RFC 4007 §11) is free text, so
// an address with a zone is no address.
function isAddress(match: RegExpExecArray | null, text: string): boolean {
  if (match === null) return !text.includes('%') && isIPv6(text)
  const [, ipv4, ipv6] = match
  if (ipv4 !== undefined) return isIPv4(ipv4)
  return ipv6 === undefined || isIPv6(ipv6)
}
