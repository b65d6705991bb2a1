// Converts fields to and from HTTP/2 (RFC 9113 §8.2, §8.3), and refuses malformed ones.
import type { OutgoingHttpHeaders } from 'node:http2'
import { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { withoutOuterSpace } from '../../http/white-space.ts'

/** Fields that are not sent: HTTP/2 forbids connection-specific fields (§8.2.2), and `host` is `:authority` (§8.3.1). */
const leftOut: ReadonlySet<string> = new Set(['host', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'])

/** List fields (RFC 9110 §5.6.1) for which Node accepts only one line. */
const joined: ReadonlySet<string> = new Set(['if-match', 'if-none-match', 'content-encoding', 'content-language'])

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const notInTarget = /[^\x21-\xff]/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/

/**
 * Returns the request's fields for node:http2. A request without Host gets the server's own authority from the session.
 * @throws SpringhouseError BAD_REQUEST if HTTP/2 forbids the method, the target or a field
 */
export function requestFields(method: string, target: string, scheme: string, lines: FieldLines): OutgoingHttpHeaders {
  if (!token.test(method) || notInTarget.test(target)) throw new SpringhouseError('BAD_REQUEST', { detail: 'method or target' })
  // Without a prototype, because a field may have the name of one of its properties.
  const fields = Object.assign(Object.create(null) as OutgoingHttpHeaders, { ':method': method, ':scheme': scheme, ':path': target })
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    // §8.2.1: a value neither begins nor ends with white space.
    const value = withoutOuterSpace(lines[i + 1] as string)
    if (!token.test(name) || notInValue.test(value)) throw new SpringhouseError('BAD_REQUEST', { detail: `field ${JSON.stringify(name)}` })
    if (name === 'host') fields[':authority'] ??= value
    // §8.2.2: TE may say nothing else.
    if (leftOut.has(name) || (name === 'te' && value !== 'trailers')) continue
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (joined.has(name)) fields[name] = `${String(before)}, ${value}`
    // §8.2.3: several Cookie lines are one value, joined by semicolons.
    else if (name === 'cookie') fields[name] = `${String(before)}; ${value}`
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [String(before), value]
  }
  return fields
}

/**
 * Returns the field lines of a section from node:http2, without pseudo-fields; undefined if Node silently dropped malformed
 * fields. §8.2.1 requires such a message to be refused: without those fields it would be another message, perhaps a storable one.
 * @param announced how many fields the section had
 */
export function sectionLines(raw: readonly string[], announced: number | undefined): string[] | undefined {
  if (raw.length !== (announced ?? Number.NaN) * 2) return undefined
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) if (!(raw[i] as string).startsWith(':')) lines.push(raw[i] as string, raw[i + 1] as string)
  return lines
}
