// Whether a request brings a body along.
import type { IncomingMessage } from 'node:http'

/** RFC 9112 §6: a length or a coding announces it. */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
