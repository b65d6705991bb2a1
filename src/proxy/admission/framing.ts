// The length of a request's body, defined once (RFC 9112 §6): Node's parser and the origin must read the same.
import type { ErrorCode } from '../../errors.ts'

/** Why a request is not passed on. */
export interface FramingFault {
  readonly code: ErrorCode
  readonly detail: string
}

const badLength: FramingFault = { code: 'BAD_REQUEST', detail: 'Content-Length' }
const twoFramings: FramingFault = { code: 'BAD_REQUEST', detail: 'Content-Length beside Transfer-Encoding' }
const codingToHttp10: FramingFault = { code: 'BAD_REQUEST', detail: 'Transfer-Encoding in HTTP/1.0' }
const twoCodings: FramingFault = { code: 'BAD_REQUEST', detail: 'more than one Transfer-Encoding field' }
const unknownCoding: FramingFault = { code: 'CODING_NOT_IMPLEMENTED', detail: 'Transfer-Encoding' }

// Fifteen digits count exactly in a number; nothing that large is ever sent.
const length = /^\d{1,15}$/

/**
 * Gathers the lines that say where a body ends. The parser has checked them already. This refuses forms that the parser lets
 * through and others may read in another way. They are a length beyond the range of numbers, an empty coding, and any coding
 * in HTTP/1.0 (§6.1). Codings before chunked are refused too, because this proxy does not decode them (§6.1: 501).
 */
export class Framing {
  #lengths = 0
  #codings = 0
  #fault: FramingFault | undefined

  /** A Content-Length line. */
  length(value: string): void {
    if (++this.#lengths > 1 || !length.test(value)) this.#fault ??= badLength
  }

  /** A Transfer-Encoding line. */
  coding(value: string): void {
    if (++this.#codings > 1) this.#fault ??= twoCodings
    else if (value.toLowerCase() !== 'chunked') this.#fault ??= unknownCoding
  }

  /** @param request the request that the lines belong to */
  fault(request: { readonly httpVersion: string }): FramingFault | undefined {
    if (this.#codings > 0 && this.#lengths > 0) return twoFramings
    if (this.#codings > 0 && request.httpVersion === '1.0') return codingToHttp10
    return this.#fault
  }
}

/** A request's fields, as Node gives them. */
interface RequestLines {
  readonly rawHeaders: readonly string[]
}

/** The length of a request's body as its fields announce it (RFC 9112 §6). 0: no body. Infinity: chunked, so of unknown length. */
export function announcedBody({ rawHeaders }: RequestLines): number {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return Infinity
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(rawHeaders[i + 1])
  }
  return 0
}

/** True if a request brings a body. */
export function hasBody(request: RequestLines): boolean {
  return announcedBody(request) > 0
}
