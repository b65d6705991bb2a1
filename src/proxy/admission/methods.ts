// The methods that are passed on, and the errors for the others.
import { METHODS } from 'node:http'
import { SpringhouseError } from '../../errors.ts'

/**
 * Methods by which caches are purged. Purges belong to the admin API, which demands a token; an origin that obeyed these
 * methods would trust any client.
 */
const purgeDialects = ['PURGE', 'BAN', 'REFRESH', 'PURGEKEY', 'BANURL'] as const

const notPassed: ReadonlySet<string> = new Set([
  // RFC 9110 §9.3.6: not for a gateway; Node does not even make a request of it.
  'CONNECT',
  // Would echo what the proxy adds (§9.3.8).
  'TRACE',
  ...purgeDialects,
])

/** The methods of Node's parser, less those that are not for an origin. */
export const passedMethods = METHODS.filter((method) => !notPassed.has(method))
const passed: ReadonlySet<string> = new Set(passedMethods)
/** The value of Allow. */
export const allow = passedMethods.join(', ')

/**
 * Returns why a method goes no further, or undefined if it is passed on. Node's parser knows some methods from RTSP, whose
 * requests it takes for HTTP.
 */
export function methodFault(method: string | undefined): 'METHOD_NOT_ALLOWED' | 'METHOD_NOT_IMPLEMENTED' | undefined {
  if (method === 'GET' || passed.has(method as string)) return undefined
  return notPassed.has(method as string) ? 'METHOD_NOT_ALLOWED' : 'METHOD_NOT_IMPLEMENTED'
}

// A request line as far as its version, at the start of the received bytes.
const requestLine = /^(?:\r\n)*([!#$%&'*+.^_`|~\w-]{1,64}) [^ \r\n]+ HTTP\/1\.[01]\r\n/

/**
 * Returns the error for a method that the parser does not know. If the rest of the line is in order, that is 501 (RFC 9110
 * §15.6.2). It is 405 if the method is known for its effect.
 * @param packet the bytes given to the parser, the request line at their start
 */
export function unknownMethod(packet: unknown): SpringhouseError {
  const method = requestLine.exec(Buffer.isBuffer(packet) ? packet.toString('latin1', 0, 65_536) : '')?.[1]
  if (method === undefined) return new SpringhouseError('BAD_REQUEST')
  return new SpringhouseError((purgeDialects as readonly string[]).includes(method) ? 'METHOD_NOT_ALLOWED' : 'METHOD_NOT_IMPLEMENTED')
}
