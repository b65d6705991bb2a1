// Which methods are passed on, and what becomes of the others.
import { METHODS } from 'node:http'
import { SpringhouseError } from '../../errors.ts'

/**
 * Methods by which caches are told to forget. They are the admin API's business, which asks for a token; an origin that
 * obeyed them would take the word of anybody.
 */
const purgeDialects = ['PURGE', 'BAN', 'REFRESH', 'PURGEKEY', 'BANURL'] as const

const notPassed: ReadonlySet<string> = new Set([
  // RFC 9110 §9.3.6: not for a gateway; Node does not even make a request of it.
  'CONNECT',
  // Would echo what the proxy adds (§9.3.8).
  'TRACE',
  ...purgeDialects,
])

/** What Node's parser knows, less what is not for an origin. */
export const passedMethods = METHODS.filter((method) => !notPassed.has(method))
const passed: ReadonlySet<string> = new Set(passedMethods)
/** The value of Allow. */
export const allow = passedMethods.join(', ')

/**
 * Why a method goes no further; undefined: it is passed on. One that is not among those of HTTP Node's parser knows from RTSP,
 * whose requests it takes for HTTP.
 */
export function methodFault(method: string | undefined): 'METHOD_NOT_ALLOWED' | 'METHOD_NOT_IMPLEMENTED' | undefined {
  if (method === 'GET' || passed.has(method as string)) return undefined
  return notPassed.has(method as string) ? 'METHOD_NOT_ALLOWED' : 'METHOD_NOT_IMPLEMENTED'
}

// A request line as far as its version, at the start of what came.
const requestLine = /^(?:\r\n)*([!#$%&'*+.^_`|~\w-]{1,64}) [^ \r\n]+ HTTP\/1\.[01]\r\n/

/**
 * What to answer where the parser knows no such method. Of a line that is otherwise in order: 501 (RFC 9110 §15.6.2), and 405
 * where the method is known for what it would do.
 * @param packet what the parser was given, the request line at its start
 */
export function unknownMethod(packet: unknown): SpringhouseError {
  const method = requestLine.exec(Buffer.isBuffer(packet) ? packet.toString('latin1', 0, 65_536) : '')?.[1]
  if (method === undefined) return new SpringhouseError('BAD_REQUEST')
  return new SpringhouseError((purgeDialects as readonly string[]).includes(method) ? 'METHOD_NOT_ALLOWED' : 'METHOD_NOT_IMPLEMENTED')
}
