// Fields in the form of HTTP/2 (RFC 9113 §8.2, §8.3): those of a request as they are sent, and what is wrong with those that came.
import type { OutgoingHttpHeaders } from 'node:http2'
import { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { withoutOuterSpace } from '../../http/white-space.ts'

/** §8.2.2: what belongs to a connection has no place in HTTP/2. `host` is `:authority` (§8.3.1). */
const leftOut: ReadonlySet<string> = new Set(['host', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te'])

/** Lists (RFC 9110 §5.6.1) of which Node nevertheless takes one line alone. */
const joined: ReadonlySet<string> = new Set(['if-match', 'if-none-match', 'content-encoding', 'content-language'])

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const notInTarget = /[^\x21-\xff]/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/

/**
 * The request's fields for node:http2. A request without Host has the server's own authority, which the session knows.
 * @throws SpringhouseError BAD_REQUEST for what cannot be said in HTTP/2
 */
export function requestFields(method: string, target: string, scheme: string, lines: FieldLines): OutgoingHttpHeaders {
  if (!token.test(method) || notInTarget.test(target)) throw new SpringhouseError('BAD_REQUEST', { detail: 'method or target' })
  // Without a prototype: a field may be named as one of its properties.
  const fields = Object.assign(Object.create(null) as OutgoingHttpHeaders, { ':method': method, ':scheme': scheme, ':path': target })
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    // §8.2.1: a value neither begins nor ends with white space.
    const value = withoutOuterSpace(lines[i + 1] as string)
    if (!token.test(name) || notInValue.test(value)) throw new SpringhouseError('BAD_REQUEST', { detail: `field ${JSON.stringify(name)}` })
    if (name === 'host') fields[':authority'] ??= value
    if (leftOut.has(name)) continue
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (joined.has(name)) fields[name] = `${String(before)}, ${value}`
    // §8.2.3: cookies may come in several lines, and are one to whoever reads them.
    else if (name === 'cookie') fields[name] = `${String(before)}; ${value}`
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [String(before), value]
  }
  return fields
}

/**
 * Field lines from what node:http2 was given, less the pseudo-fields; undefined where some of them were malformed, and Node left
 * them out without a word: §8.2.1 has such a message refused. What is left would be another message, maybe one that may be stored.
 * @param announced how many fields there were
 */
export function sectionLines(raw: readonly string[], announced: number | undefined): string[] | undefined {
  if (raw.length !== (announced ?? Number.NaN) * 2) return undefined
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) if (!(raw[i] as string).startsWith(':')) lines.push(raw[i] as string, raw[i + 1] as string)
  return lines
}
