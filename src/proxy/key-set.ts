// GET /.well-known/springhouse/jwks.json: the public keys with which backends verify Springhouse-Session (RFC 7517).
import { SpringhouseError } from '../errors.ts'
import type { ClientExchange } from '../exchange/client/exchange.ts'
import { sendHead } from '../exchange/client/sending.ts'
import { writeProblem } from './problem.ts'

const path = '/.well-known/springhouse/jwks.json'
const maxAgeSeconds = 300

/** Returns a function that responds to requests for the key set, on every host, and returns whether it did. */
export function keySetResponder(keySet: () => string): (exchange: ClientExchange) => boolean {
  return exchange => {
    const { head: { method, url = '' } } = exchange
    if (!url.startsWith(path) || (url.length > path.length && url[path.length] !== '?') || (method !== 'GET' && method !== 'HEAD')) return false
    exchange.outcome = 'pass'
    exchange.reason = 'key-set'
    respond(exchange, keySet)
    exchange.end()
    return true
  }
}

function respond(exchange: ClientExchange, keySet: () => string): void {
  let text: string
  try {
    text = keySet()
  } catch (error) {
    return writeProblem(exchange, error instanceof SpringhouseError ? error : new SpringhouseError('INTERNAL', { cause: error }))
  }
  const { response } = exchange
  const unread = response.hasUnreadBody
  if (unread) response.endConnection()
  const fields = ['content-type', 'application/jwk-set+json', 'content-length', String(Buffer.byteLength(text)), 'cache-control', `public, max-age=${maxAgeSeconds}`,
    ...(unread ? ['connection', 'close'] : [])]
  if (!sendHead(exchange, 200, fields)) return
  if (exchange.head.method === 'HEAD') response.end()
  else {
    exchange.bodyBytes += Buffer.byteLength(text)
    response.end(text)
  }
}
