// Checks every request before any other part reads it: one pass over the requests that Node's parser lets through.
import type { ErrorCode } from '../../errors.ts'
import { SpringhouseError } from '../../errors.ts'
import { adminCookie, removeAdminCookie } from '../../forwarding/admin-cookie.ts'
import { cdnLoopPasses, viaPasses } from '../../forwarding/loop.ts'
import type { ClientRequest } from '../listener/client-request.ts'
import { Http2Request } from '../listener/http2-request.ts'
import { Framing } from './framing.ts'
import { methodFault } from './methods.ts'

/** How often a request may have passed a proxy of this name: tiers of one deployment are fine, a circle is not. */
const maxPasses = 3

// RFC 9110 §4.2: no user information, no delimiter that ends an authority, and no comma, which would separate list members.
const validHost = /^[\w.~!$&'()*+;=%:[\]-]*$/
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/is

/** `answer-locally`: a request about the proxy itself, which goes no further (RFC 9110 §9.3.7, §7.6.2). */
export type Admission = 'admitted' | 'answer-locally'

export interface AdmissionLimits {
  readonly maxTargetBytes: number
  readonly maxHeaderBytes: number
  readonly viaName: string
}

/**
 * Checks a request, and brings it to the one form that other parts know: a target that starts with a slash, and one Host.
 * Otherwise the target keeps its exact bytes. The cookie of the admin listener is removed.
 * @throws SpringhouseError, source client, for a request that must not be passed on.
 */
export function validateRequest(request: ClientRequest, limits: AdmissionLimits): Admission {
  const target = request.url as string
  if (!isKnownVersion(request)) refuse('VERSION_NOT_SUPPORTED')
  if (target.length > limits.maxTargetBytes) refuse('URI_TOO_LONG')
  // Over HTTP/1.1 the parser counts. Over HTTP/2 the limit is only announced to the client (RFC 9113 §6.5.2), which may ignore
  // it.
  if (request.httpVersionMajor === 2 && bytesOf(request.rawHeaders) > limits.maxHeaderBytes) refuse('FIELDS_TOO_LARGE')
  const wrongMethod = methodFault(request.method)
  if (wrongMethod !== undefined) refuse(wrongMethod)
  // `*` is the proxy's own if it is the only way left to name a server: OPTIONS alone may use it (RFC 9112 §3.2.4).
  const aboutServer = target === '*' && request.method === 'OPTIONS'
  checkFields(request, limits.viaName)
  if (!target.startsWith('/') && !aboutServer) toOriginForm(request, target)
  // RFC 9112 §3.2: no form of a target has a fragment. Some origins remove it, and others take it for a part of the path.
  if (target.includes('#')) refuse('BAD_REQUEST', 'a fragment')
  // RFC 9110 §17.13 and plain caution: at an origin that resolves `..`, it would leave the path that chose the route. Clients
  // resolve it before they send a request. `..;a=b` climbs at origins that remove parameters first.
  if (mayClimb(target) && hasDotSegments(request.url as string)) refuse('BAD_REQUEST', 'dot segments')
  return aboutServer || (request.method === 'OPTIONS' && !hopsLeft(request)) ? 'answer-locally' : 'admitted'
}

function refuse(code: ErrorCode, detail?: string): never {
  throw new SpringhouseError(code, detail === undefined ? {} : { detail })
}

/**
 * The parser lets unknown versions through, and request lines without one (RFC 9112 §2.3). The version of an HTTP/2 request
 * does not come from the parser.
 */
function isKnownVersion(request: ClientRequest): boolean {
  return request.httpVersion === '1.1' || request.httpVersion === '1.0' || request instanceof Http2Request
}

/** Returns the bytes that the lines would take in HTTP/1.1. */
function bytesOf(rawHeaders: readonly string[]): number {
  let bytes = 0
  for (const part of rawHeaders) bytes += part.length + 2
  return bytes
}

function checkFields(request: ClientRequest, viaName: string): void {
  const { rawHeaders } = request
  let hosts = 0
  let byVia = 0
  let byCdnLoop = 0
  let framing: Framing | undefined
  let hasAdminCookie = false
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts++
      if (!validHost.test(rawHeaders[i + 1] as string)) refuse('BAD_REQUEST', 'Host')
    } else if (name.length === 3 && name.toLowerCase() === 'via') {
      byVia += viaPasses(rawHeaders[i + 1] as string, viaName)
    } else if (name.length === 6 && name.toLowerCase() === 'cookie') {
      hasAdminCookie ||= (rawHeaders[i + 1] as string).includes(adminCookie)
    } else if (name.length === 8 && name.toLowerCase() === 'cdn-loop') {
      byCdnLoop += cdnLoopPasses(rawHeaders[i + 1] as string, viaName)
    } else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      framing ??= new Framing()
      framing.length(rawHeaders[i + 1] as string)
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      framing ??= new Framing()
      framing.coding(rawHeaders[i + 1] as string)
    }
  }
  if (hasAdminCookie) removeAdminCookie(rawHeaders)
  const fault = framing?.fault(request)
  if (fault !== undefined) refuse(fault.code, fault.detail)
  // RFC 9112 §3.2: more than one Host is a 400. So is none, except in HTTP/1.0. Node takes the first, an origin may take the
  // second.
  if (hosts !== 1 && (hosts > 1 || request.httpVersion !== '1.0')) refuse('BAD_REQUEST', `${hosts} Host fields`)
  // Each pass adds a member to both fields. RFC 8586 §1.1: another intermediary may have removed Via, or may not send it.
  if (byVia >= maxPasses || byCdnLoop >= maxPasses) refuse('LOOP')
}

/** RFC 9112 §3.2.2: the authority of an absolute-form target counts, and not Host. */
function toOriginForm(request: ClientRequest, target: string): void {
  const match = absoluteForm.exec(target)
  const authority = match?.[1]
  if (match === null || authority === undefined || authority === '' || !validHost.test(authority)) refuse('BAD_REQUEST', 'request target')
  const rest = match[2] as string
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  const { rawHeaders } = request
  const kept: string[] = ['Host', authority]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'host') kept.push(rawHeaders[i] as string, rawHeaders[i + 1] as string)
  }
  // In place, for all later readers. For an HTTP/1.1 request Node has made `headers` already: Host must not be read there.
  for (const [i, part] of kept.entries()) rawHeaders[i] = part
  rawHeaders.length = kept.length
}

/** A cheap check, true for every target with dot segments: most targets contain neither. */
function mayClimb(target: string): boolean {
  return target.includes('..') || target.includes('%2')
}

function hasDotSegments(target: string): boolean {
  const query = target.indexOf('?')
  const path = (query === -1 ? target : target.slice(0, query)).replaceAll(/%2e/gi, '.').replaceAll(/%3b/gi, ';').replaceAll(/%2f|%5c|\\/gi, '/')
  return path.split('/').some(segment => segment === '..' || segment.startsWith('..;'))
}

/** RFC 9110 §7.6.2: an OPTIONS counts its hops down, and stops where they end. */
function hopsLeft(request: ClientRequest): boolean {
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'max-forwards' || !/^\d{1,9}$/.test(rawHeaders[i + 1] as string)) continue
    const hops = Number(rawHeaders[i + 1])
    if (hops === 0) return false
    rawHeaders[i + 1] = String(hops - 1)
  }
  return true
}
