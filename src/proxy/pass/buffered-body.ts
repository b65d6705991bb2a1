// Small bodies of requests that may be sent twice. They are read before they are sent, so that a killed server loses no
// request.
import type { Readable } from 'node:stream'
import { isIdempotent } from '../../origin/request/idempotency.ts'
import { announcedBody } from '../admission/framing.ts'
import type { ClientRequest } from '../listener/client-request.ts'

/** A larger body, or one of unknown length, is forwarded as it comes, and cannot be sent again. */
const mostBytes = 65_536

/** True if the body of a request is read before it is sent. @param mayRepeat true if the request may be sent twice whatever its method */
export function keepsBody(request: ClientRequest, mayRepeat: boolean): boolean {
  return (mayRepeat || isIdempotent(request.method as string)) && announcedBody(request) <= mostBytes
}

/** Returns the whole body, or undefined if it breaks off: then its client has left, and nothing has been sent. */
export function readBody(request: Readable): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => resolve(undefined))
    // After the end, or in place of it.
    request.on('close', () => resolve(undefined))
  })
}
