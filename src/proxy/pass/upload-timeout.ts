// Uploads that stop: a client that has begun a body must go on with it, because an origin connection waits with it.
import type { ClientResponse } from '../../exchange/client/response.ts'
import type { ClientRequest } from '../listener/client-request.ts'
import { Http2Request } from '../listener/http2-request.ts'

/** If a client sends so many bytes of a body within the time limit, the time begins anew. */
const pieceBytes = 16_384
/** The number of checks within the time limit. */
const checks = 4

/** The response to an upload. */
type UploadResponse = Pick<ClientResponse, 'headersSent'>

/** An upload, between its neighbours in a ring. */
class Upload {
  readonly request: ClientRequest
  readonly response: UploadResponse
  readonly late: () => void
  /** The bytes received when the awaited piece began. */
  fromBytes: number
  /** The number of checks since then at which the client was to blame. */
  quiet = 0
  before: Upload = this
  after: Upload = this

  constructor(request: ClientRequest, response: UploadResponse, late: () => void) {
    this.request = request
    this.response = response
    this.late = late
    this.fromBytes = bytesOf(request)
  }

  putBefore(next: Upload): void {
    this.after = next
    this.before = next.before
    this.before.after = this
    next.before = this
  }

  /** Safe to call again. Points at nothing afterwards: an upload that is still young must not be kept by one that has grown old. */
  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this.after = this
  }
}

/** The uploads of a listener. */
export interface UploadWatch {
  /** Watches a request with a body, until the body has come, the response begins, or `late` has been called, once. */
  watch(request: ClientRequest, response: UploadResponse, late: () => void): void
  /** Checks all uploads. Runs by itself, four times within the time limit. */
  check(): void
  /** The number of watched uploads. */
  readonly size: number
  close(): void
}

/**
 * Bounds the time of each piece of 16 KiB, or of the rest. A bound on the whole would abort large uploads along with slow
 * ones. The time does not run while the origin is the side that stops reading. A client that trickles bytes is cut off as
 * soon as one that sends nothing. Once the response has begun, the origin may be silent, and so may the client: in a stream
 * of both directions (gRPC) each waits for the other. From then on the origin decides how long the request lasts, and its
 * own pauses are bounded (origin/request/body-timeout.ts).
 *
 * An upload leaves the watch when its request closes, not at the next check: what is retained does not grow with traffic. A
 * ring, not a Map or a Set, because the tables that those outgrow keep what was in them until the old generation is
 * collected.
 *
 * @param pieceMs how long a piece may take; 0: no limit
 */
export function watchUploads(pieceMs: number): UploadWatch {
  let first: Upload | undefined
  let size = 0
  let timer: NodeJS.Timeout | undefined

  function remove(upload: Upload): void {
    if (first === undefined || (upload.after === upload && first !== upload)) return // it has left
    if (first === upload) first = upload.after === upload ? undefined : upload.after
    upload.leave()
    size--
  }

  function check(): void {
    let upload = first
    for (let left = size; left > 0 && upload !== undefined; left--) {
      const next: Upload = upload.after
      if (hasEnded(upload.request) || upload.response.headersSent) remove(upload)
      else if (isLate(upload)) {
        remove(upload)
        upload.late()
      }
      upload = next
    }
    if (size === 0) stop()
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(request, response, late) {
      if (pieceMs === 0 || hasEnded(request)) return
      const upload = new Upload(request, response, late)
      if (first === undefined) first = upload
      else upload.putBefore(first)
      size++
      request.once('close', () => remove(upload))
      timer ??= setInterval(check, pieceMs / checks).unref()
    },
    check,
    get size() {
      return size
    },
    close: stop,
  }
}

function hasEnded(request: ClientRequest): boolean {
  return request.complete || request.destroyed
}

function isLate(upload: Upload): boolean {
  const { request } = upload
  const bytes = bytesOf(request)
  // Received bytes that the origin has not taken yet: meanwhile nothing more is read from the client.
  if (request.readableLength > 0 || bytes - upload.fromBytes >= pieceBytes) {
    upload.fromBytes = bytes
    upload.quiet = 0
    return false
  }
  return ++upload.quiet >= checks
}

/** Returns the bytes received: of an HTTP/2 request its own, of HTTP/1.1 those of its connection, on which nothing else comes before its end. */
function bytesOf(request: ClientRequest): number {
  return request instanceof Http2Request ? request.receivedBytes : request.socket.bytesRead
}
