// A stream on its way to a client, as the body of a response.
import type { Readable } from 'node:stream'
import type { ClientExchange } from './exchange.ts'

/** Writes a body to a response, no faster than the client takes it; then calls `ended`. */
export function relayBody(body: Readable, exchange: ClientExchange, ended: () => void): void {
  const { response } = exchange
  let awaitsDrain = false
  body.on('data', (chunk: Buffer) => {
    exchange.bodyBytes += chunk.length
    if (response.write(chunk)) return
    body.pause()
    if (!awaitsDrain) response.onDrain(() => body.resume())
    awaitsDrain = true
  })
  body.on('end', ended)
}
