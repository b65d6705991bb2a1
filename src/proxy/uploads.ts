// Uploads that do not come: a client that has begun a body must go on with it, for a connection to the origin waits with it.
import type { IncomingMessage } from 'node:http'

/** What a client must send of a body in the time that it is given, to be given that time again. */
const pieceBytes = 16_384
/** How often it is looked in that time. */
const looks = 4

/** What has been seen of an upload. */
interface Seen {
  /** Where the piece that is waited for began. */
  fromBytes: number
  /** Looks since then at which the client was to blame. */
  quiet: number
}

/** The uploads of a listener. */
export interface UploadWatch {
  /** Looks after a request that brings a body, until that has come or `late` has been called, once. */
  watch(request: IncomingMessage, late: () => void): void
  /** Looks at all of them; comes by itself, four times in the time that each is given. */
  look(): void
  close(): void
}

/**
 * A bound on the whole would cut what is large along with what is slow. So the time is for each piece of 16 KiB, or for what
 * is left, and it does not run while the origin is the one that takes nothing. Who sends a byte now and then is cut as soon
 * as who sends none.
 *
 * @param patienceMs how long a piece may take; 0: for ever
 */
export function watchUploads(patienceMs: number): UploadWatch {
  const uploads = new Map<IncomingMessage, Seen & { readonly late: () => void }>()
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    for (const [request, seen] of uploads) {
      if (hasEnded(request)) uploads.delete(request)
      else if (isLate(request, seen)) {
        uploads.delete(request)
        seen.late()
      }
    }
    if (uploads.size === 0) stop()
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(request, late) {
      if (patienceMs === 0 || hasEnded(request)) return
      uploads.set(request, { late, fromBytes: bytesOf(request), quiet: 0 })
      timer ??= setInterval(look, patienceMs / looks).unref()
    },
    look,
    close: stop,
  }
}

function hasEnded(request: IncomingMessage): boolean {
  return request.complete || request.destroyed
}

function isLate(request: IncomingMessage, seen: Seen): boolean {
  const bytes = bytesOf(request)
  // What has come and is not taken waits for the origin, and nothing more is read from the client meanwhile.
  if (request.readableLength > 0 || bytes - seen.fromBytes >= pieceBytes) {
    seen.fromBytes = bytes
    seen.quiet = 0
    return false
  }
  return ++seen.quiet >= looks
}

/** Of HTTP/2 a request counts for itself, and of HTTP/1.1 its connection, on which nothing else comes before its end. */
function bytesOf(request: IncomingMessage): number {
  return 'receivedBytes' in request ? request.receivedBytes as number : request.socket.bytesRead
}
