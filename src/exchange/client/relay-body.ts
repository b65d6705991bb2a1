// A stream on its way to a client, as the body of a response.
import type { Readable } from 'node:stream'
import type { ClientExchange } from './exchange.ts'

/** Writes a body to a response, no faster than the client takes it; then calls `ended`. */
export function relayBody(body: Readable, exchange: ClientExchange, ended: () => void): void {
  const { response } = exchange
  body.on('data', (chunk: Buffer) => {
    exchange.bodyBytes += chunk.length
    if (!response.write(chunk)) body.pause()
  })
  body.on('end', ended)
  response.onDrain(() => body.resume())
}
