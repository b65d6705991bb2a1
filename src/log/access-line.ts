// The line of one request in the log: a JSON object, in ASCII, written by hand because each request may have one.
import { shownTargetChars, type TargetMask } from './masking.ts'

/** A finished request, as the access log shows it. */
export interface AccessRecord {
  /** When the response ended, in milliseconds since the epoch. */
  readonly timeMs: number
  /** How the request was handled, from the closed set of outcomes (`hit`, `miss`, `pass`, `error`, …). */
  readonly outcome: string
  /** Why, from the closed set of reasons. */
  readonly reason: string
  /** The status of the final response. 0 if the client left before one was sent. */
  readonly status: number
  readonly method: string
  /** The requested host, with its port if it has one. */
  readonly host: string
  /** The request target as it was received. The line shows it masked. */
  readonly target: string
  /** The identity of the route that matched; undefined if none did. */
  readonly route?: string | undefined
  /** The first 12 hexadecimal digits of the key's digest; undefined if no key was made. */
  readonly key?: string | undefined
  /** Bytes of the response body that were handed to the connection. */
  readonly bytes: number
  /** From the request's head to the end of the response. */
  readonly ms: number
  /** The id of the request, as it is in the response and at the origin. */
  readonly requestId: string
  /** The name of the origin that was contacted; undefined if none was. */
  readonly origin?: string | undefined
  /** The server of that origin that responded, as the configuration writes it or by its address. */
  readonly server?: string | undefined
  /** From the request to the origin to the head of its response. */
  readonly originMs?: number | undefined
  /** Requests sent to the origin, if more than one. */
  readonly tries?: number | undefined
  /** Why the response was not stored; undefined if it was, or if nothing could have been. */
  readonly notStored?: string | undefined
  /** The outcome of reading the session that the request presented; undefined if it presented none. */
  readonly session?: string | undefined
  /** The age of the stored response that was served. */
  readonly ageMs?: number | undefined
  /** The address of the client, as far as trusted proxies report it. */
  readonly client?: string | undefined
  /** The trace that the request belongs to (W3C Trace Context). */
  readonly traceId?: string | undefined
  /** The worker process that handled the request, if there are several. */
  readonly worker?: string | undefined
}

// pino's numbers, by which readers of the log find errors.
const infoLevel = 30
const errorLevel = 50

/** Returns true if a request counts as an error in the log: a server error, or a response that the proxy made. */
export function isErrorStatus(status: number, isError: boolean): boolean {
  return isError || status >= 500
}

/** The line of a request, with its newline. It holds no control character, and nothing but ASCII. */
export function accessLine(record: AccessRecord, shown: TargetMask): string {
  const { status, route, key, origin, server, originMs, tries, notStored, session, ageMs, client, traceId, worker } = record
  const level = isErrorStatus(status, record.outcome === 'error') ? errorLevel : infoLevel
  let line = `{"level":${level},"time":"${isoTime(record.timeMs)}","msg":"request","outcome":${quoted(record.outcome)},"reason":${quoted(record.reason)},"status":${whole(status)}`
    + `,"method":${quoted(record.method)},"host":${quoted(record.host)},"target":${quoted(shown(record.target), mostTargetChars)}`
  if (route !== undefined) line += `,"route":${quoted(route)}`
  if (key !== undefined) line += `,"key":${quoted(key)}`
  line += `,"bytes":${whole(record.bytes)},"ms":${tenths(record.ms)},"requestId":${quoted(record.requestId)}`
  if (origin !== undefined) line += `,"origin":${quoted(origin)}`
  if (server !== undefined) line += `,"server":${quoted(server)}`
  if (originMs !== undefined) line += `,"originMs":${tenths(originMs)}`
  if (tries !== undefined) line += `,"tries":${whole(tries)}`
  if (notStored !== undefined) line += `,"notStored":${quoted(notStored)}`
  if (session !== undefined) line += `,"session":${quoted(session)}`
  if (ageMs !== undefined) line += `,"ageMs":${whole(ageMs)}`
  if (client !== undefined) line += `,"client":${quoted(client)}`
  if (traceId !== undefined) line += `,"traceId":${quoted(traceId)}`
  if (worker !== undefined) line += `,"worker":${quoted(worker)}`
  return `${line}}\n`
}

// JSON has no notation for NaN and infinities, and a line must be JSON.
function whole(value: number): number {
  return Number.isFinite(value) ? Math.round(value) : 0
}

function tenths(value: number): number {
  return whole(value * 10) / 10
}

// With every character escaped all of a line still fits into what a sink holds. A mask truncates targets at its own bound.
const mostChars = 512
const mostTargetChars = shownTargetChars + 16

/**
 * A JSON string of printable ASCII; all else is escaped. Text from a client may hold control characters, which would steer a
 * terminal. It may also hold half a surrogate pair, or bytes that are no UTF-8.
 */
function quoted(given: string, most = mostChars): string {
  const text = given.length > most ? `${given.slice(0, most)}...` : given
  return /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : JSON.stringify(text).replaceAll(/[^ -~]/g, escaped)
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

let secondOf = Number.NaN
let shownSecond = ''

// The date of a second is made once for all its requests.
function isoTime(timeMs: number): string {
  const ms = timeMs >= 0 && timeMs < 8.64e15 ? Math.floor(timeMs) : 0
  const second = Math.floor(ms / 1000)
  if (second !== secondOf) {
    secondOf = second
    shownSecond = new Date(second * 1000).toISOString().slice(0, -4)
  }
  const rest = ms - second * 1000
  return `${shownSecond}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`
}
