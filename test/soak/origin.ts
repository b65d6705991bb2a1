// Two servers of one origin: their actions have one order, and a test can make them fail.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { hesitation, wait, type Random } from '../coherence/random.ts'
import { bodyOf, pageOf, type Page } from './site.ts'

/** well: they respond; resetting: connections break, before a response or within it; failing: they respond with 502, 503 or 504. */
export type Mode = 'well' | 'resetting' | 'failing'

const longestMs = 60

export class SoakOrigin {
  mode: Mode = 'well'
  answered = 0
  readonly #random: Random
  readonly #servers: Server[]
  readonly #sockets = new Set<Socket>()
  /** The versions of changed targets. A target requested once never changes, so this does not grow. */
  readonly #versions = new Map<string, number>()
  #counter = 0

  constructor(random: Random) {
    this.#random = random
    this.#servers = [1, 2].map(() =>
      createServer((request, response) => {
        this.#answer(request, response).catch(() => response.destroy())
      }).on('connection', (socket: Socket) => {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => this.#sockets.delete(socket))
      })
    )
  }

  /** Every response and every change takes the next number. */
  get counter(): number {
    return this.#counter
  }

  get urls(): string[] {
    return this.#servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  }

  async listen(): Promise<void> {
    await Promise.all(this.#servers.map((server) =>
      new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve)
      })
    ))
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of this.#sockets) socket.destroy()
      })
    ))
  }

  /** Breaks every connection, in the middle of its message. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Makes a new version. */
  change(path: string): void {
    this.#versions.set(path, ++this.#counter)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume()
    await wait(hesitation(this.#random, longestMs))
    const page = pageOf((request.url ?? '').split('?', 1)[0] as string)
    if (page === undefined) {
      response.writeHead(404).end()
      return
    }
    if (this.mode === 'failing') {
      response.writeHead(this.#random.pick([502, 503, 504])).end('the origin fails')
      return
    }
    if (this.mode === 'resetting' && this.#random.chance(0.5)) {
      request.socket.resetAndDestroy()
      return
    }
    this.answered++
    // RFC 9111 §4.4: the URL in Content-Location is invalidated as well.
    if (request.method === 'POST') {
      this.change(page.path)
      response.writeHead(200, { 'Content-Location': page.path, 'X-Generation': ++this.#counter, 'Content-Length': 0 }).end()
      return
    }
    await this.#send(request, response, page)
  }

  async #send({ method, headers }: IncomingMessage, response: ServerResponse, { path, kind, control, tags, bytes }: Page): Promise<void> {
    const generation = ++this.#counter
    const etag = kind === 'hot' ? `W/"v${this.#versions.get(path) ?? 0}"` : undefined
    const fields: Record<string, string | number> = { 'Cache-Control': control, 'X-Generation': generation }
    if (etag !== undefined) fields['ETag'] = etag
    if (tags.length > 0) fields['Cache-Tag'] = tags.join(', ')
    if (kind === 'vary') fields['Vary'] = 'X-Flavour'
    if (etag !== undefined && headers['if-none-match'] === etag) {
      response.writeHead(304, fields).end()
      return
    }
    const variant = kind === 'vary' ? String(headers['x-flavour']) : '-'
    const user = kind === 'me' ? String(headers['x-asker']) : '-'
    const body = bodyOf({ path, variant, user, generation }, bytes)
    // Half of the large ones in chunks, whose end nothing announces.
    if (kind !== 'large' || generation % 2 === 0) fields['Content-Length'] = body.length
    response.writeHead(200, fields)
    if (method === 'HEAD') {
      response.end()
      return
    }
    const step = Math.max(1, Math.ceil(body.length / this.#random.between(1, kind === 'large' ? 8 : 2)))
    for (let from = 0; from < body.length; from += step) {
      if (from > 0) await wait(hesitation(this.#random, longestMs))
      if (this.mode === 'resetting' && from + step >= body.length) {
        response.socket?.resetAndDestroy()
        return
      }
      if (!response.write(body.subarray(from, from + step))) await drained(response)
    }
    response.end()
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
