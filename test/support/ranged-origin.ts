// An origin with a single representation that serves parts of it, by RFC 9110 §13 and §14. A test may change the
// representation.
import type { ServerResponse } from 'node:http'
import { formatHttpDate } from '../../src/http/date.ts'
import { strongMatch } from '../../src/http/etag.ts'
import { parseRange } from '../../src/http/range.ts'
import type { OriginHandler } from './scripted-origin.ts'

export interface Ranged {
  body: Buffer
  /** Sent on every response; ETag and Last-Modified are the validators that conditions are compared with. */
  fields: Record<string, string>
  /** The complete length in Content-Range: `*` if unknown. */
  complete?: string
  /** Its clock, for Date; the system's without. */
  now?: () => number
  /** True if bodies come in chunks, without a Content-Length. */
  chunked?: boolean
  /** True if it breaks off in the middle of a body. */
  cut?: boolean
}

/** Single ranges only; of several it sends the whole. */
export function ranged(has: Ranged): OriginHandler {
  return (request, response) => {
    const { body } = has
    const fields = has.now === undefined ? has.fields : { ...has.fields, Date: formatHttpDate(has.now()) }
    const etag = fields['ETag']
    const modified = fields['Last-Modified']
    const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch, 'if-modified-since': ifModifiedSince } = request.headers
    if (ifNoneMatch !== undefined ? ifNoneMatch === etag : ifModifiedSince !== undefined && ifModifiedSince === modified) {
      response.writeHead(304, fields).end()
      return
    }
    const holds = ifRange === undefined || (etag !== undefined && strongMatch(String(ifRange), etag)) || ifRange === modified
    const ranges = holds ? parseRange(range, body.length, 10) : undefined
    if (ranges === 'unsatisfiable') {
      response.writeHead(416, { 'Content-Range': `bytes */${body.length}` }).end()
      return
    }
    const [one, another] = ranges ?? []
    if (one === undefined || another !== undefined) send(response, 200, fields, body, has)
    else send(response, 206, { ...fields, 'Content-Range': `bytes ${one.start}-${one.end - 1}/${has.complete ?? body.length}` }, body.subarray(one.start, one.end), has)
  }
}

function send(response: ServerResponse, status: number, fields: Record<string, string>, body: Buffer, { chunked, cut }: Ranged): void {
  response.writeHead(status, chunked === true ? fields : { ...fields, 'Content-Length': body.length })
  if (chunked === true) response.flushHeaders()
  if (cut === true && body.length > 1) response.write(body.subarray(0, body.length >> 1), () => response.destroy())
  else response.end(body)
}
