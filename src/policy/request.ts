// A client's request as caching sees it, read from Node's raw header list in one pass.
import { noRequestDirectives, parseRequestDirectives, type RequestDirectives } from '../http/cache-control.ts'
import { keyedFields } from './keyed-fields.ts'

/** Why a request is ambiguous, and is refused with 400. */
export type RequestFault = 'host-missing' | 'host-invalid'

/** The parts of a request that caching needs. Other fields are read only if Vary names them or the request is forwarded. */
export class CacheRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Lower-case host, with its port unless that is the scheme's default. */
  readonly authority: string
  /** Exact bytes of path and query, without the ignored query parameters. */
  readonly target: string
  readonly directives: RequestDirectives
  readonly hasAuthorization: boolean
  /** All Cookie lines, joined as one field (RFC 9113 §8.2.3). */
  readonly cookie: string | undefined
  /** RFC 9110 §8.6, RFC 9112 §6: content is announced by Content-Length (other than 0) or Transfer-Encoding. */
  readonly hasBody: boolean
  /** If-Match or If-Unmodified-Since: preconditions that only the origin may evaluate. */
  readonly hasOriginPrecondition: boolean
  readonly hasUpgrade: boolean
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
  /** The part of the key for the fields in keyed-fields.ts: '' for most requests. */
  readonly keyedFields: string
  constructor(parts: ScannedFields, line: RequestLine) {
    this.method = line.method
    this.scheme = line.scheme
    this.authority = line.authority
    this.target = line.target
    this.directives = parts.cacheControl === undefined && parts.pragma === undefined
      ? noRequestDirectives
      : parseRequestDirectives(parts.cacheControl, parts.pragma)
    this.hasAuthorization = parts.authorization
    this.cookie = parts.cookie
    this.hasBody = parts.body
    this.hasOriginPrecondition = parts.originPrecondition
    this.hasUpgrade = parts.upgrade
    this.ifNoneMatch = parts.ifNoneMatch
    this.ifModifiedSince = parts.ifModifiedSince
    this.range = parts.range
    this.ifRange = parts.ifRange
    this.keyedFields = parts.keyedFields
  }

  get hasCookie(): boolean {
    return this.cookie !== undefined
  }
}

/** Method and URL of a request, with parsed host and target. */
export interface RequestLine {
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly target: string
}

/** The fields that every lookup needs, from a raw header list. */
export interface ScannedFields {
  host: string | undefined
  cacheControl: string | undefined
  pragma: string | undefined
  ifNoneMatch: string | undefined
  ifModifiedSince: string | undefined
  range: string | undefined
  ifRange: string | undefined
  keyedFields: string
  authorization: boolean
  cookie: string | undefined
  body: boolean
  originPrecondition: boolean
  upgrade: boolean
}

/** Reads Node's rawHeaders (names in any case) in one pass. Repeated list fields are joined. */
export function scanFields(raw: readonly string[]): ScannedFields {
  const scan: ScannedFields = {
    host: undefined,
    cacheControl: undefined,
    pragma: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    range: undefined,
    ifRange: undefined,
    keyedFields: '',
    authorization: false,
    cookie: undefined,
    body: false,
    originPrecondition: false,
    upgrade: false,
  }
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    // Lengths first: most fields of a browser's request are irrelevant here and cost one comparison.
    switch (name.length) {
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 13:
      case 14:
      case 17:
      case 18:
      case 19:
      case 20:
      case 22:
      case 28:
        pick(scan, name.toLowerCase(), raw[i + 1] as string)
    }
  }
  return scan
}

function pick(scan: ScannedFields, name: string, value: string): void {
  switch (name) {
    case 'host':
      scan.host = value
      break
    case 'range':
      scan.range = joined(scan.range, value)
      break
    case 'pragma':
      scan.pragma = joined(scan.pragma, value)
      break
    case 'cookie':
      scan.cookie = scan.cookie === undefined ? value : `${scan.cookie}; ${value}`
      break
    // RFC 9110 §7.8: a server may ignore a protocol that it does not offer. `h2c` (curl --http2, Java's HttpClient) is such a one.
    case 'upgrade':
      scan.upgrade ||= value.trim().toLowerCase() === 'websocket'
      break
    case 'if-match':
      scan.originPrecondition = true
      break
    case 'if-range':
      scan.ifRange = joined(scan.ifRange, value)
      break
    case 'cache-control':
      scan.cacheControl = joined(scan.cacheControl, value)
      break
    case 'authorization':
      scan.authorization = true
      break
    case 'if-none-match':
      scan.ifNoneMatch = joined(scan.ifNoneMatch, value)
      break
    case 'content-length':
      scan.body ||= value.trim() !== '0'
      break
    case 'if-modified-since':
      scan.ifModifiedSince = joined(scan.ifModifiedSince, value)
      break
    case 'transfer-encoding':
      scan.body = true
      break
    case 'if-unmodified-since':
      scan.originPrecondition = true
      break
    // Each line is preceded by its length, so that no choice of values reads as another.
    default:
      if (keyedFields.has(name)) scan.keyedFields += ` ${name}${value.length}:${value}`
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}
