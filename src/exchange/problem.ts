// An error as a client sees it: a problem document (RFC 9457), with Proxy-Status (RFC 9209) where it is the proxy's own.
import type { ServerResponse } from 'node:http'
import { problemDocument, type SpringhouseError } from '../errors.ts'

/** Sends an error in place of a response. Does nothing but cut the connection when a response has begun. */
export function sendProblem(response: ServerResponse, error: SpringhouseError, cacheStatus: string): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const document = problemDocument(error)
  const head = [
    'content-type', 'application/problem+json',
    'content-length', String(Buffer.byteLength(document)),
    'cache-control', 'no-store', // an error of the proxy's is of this moment: nobody downstream may keep it
    'cache-status', cacheStatus,
  ]
  if (error.proxyError !== undefined) head.push('proxy-status', `springhouse; error=${error.proxyError}`)
  if (error.status === 503) head.push('retry-after', '1')
  response.writeHead(error.status, head)
  response.end(document)
}
