// The origin of the check: it counts its responses, writes the count into each, and pauses at every step.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Generated } from './oracle.ts'
import { hesitation, wait, type Random } from './random.ts'
import { bodyOf, etagOf, resourceByPath, resources, type Resource } from './resources.ts'

/** The present state of a resource: its version changes, and with it its validator and its tags. */
interface Current {
  version: number
  tags: readonly string[]
}

/** A single counter orders everything that the origin does: every response and every change takes the next number. */
export class CountingOrigin {
  readonly #random: Random
  readonly #longestMs: number
  readonly #server
  readonly #sockets = new Set<Socket>()
  readonly #current = new Map<string, Current>()
  readonly #generated = new Map<number, Generated>()
  readonly #lastOfVersion = new Map<number, Generated>()
  #counter = 0
  notModified = 0
  failed = 0

  constructor(random: Random, longestMs: number) {
    this.#random = random
    this.#longestMs = longestMs
    for (const one of resources) this.change(one)
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  get counter(): number {
    return this.#counter
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }

  generated(generation: number): Generated | undefined {
    return this.#generated.get(generation)
  }

  /** The last response that named this version. */
  lastOf(version: number): Generated | undefined {
    return this.#lastOfVersion.get(version)
  }

  /** Makes a new version of a resource. */
  change({ path, tags }: Resource): void {
    this.#current.set(path, { version: ++this.#counter, tags: tags.filter(() => this.#random.chance(0.5)) })
  }

  #hesitate(): Promise<void> | undefined {
    return wait(hesitation(this.#random, this.#longestMs))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume()
    const resource = resourceByPath.get((request.url ?? '').split('?', 1)[0] ?? '')
    if (resource === undefined) {
      response.writeHead(404).end()
      return
    }
    await this.#hesitate()
    if (request.method === 'POST') return this.#changed(resource, response)
    const failure = this.#random.chance(resource.failing) ? this.#random.pick(['503', 'reset', 'cut'] as const) : undefined
    if (failure !== undefined) this.failed++
    if (failure === 'reset') {
      request.socket.destroy()
      return
    }
    const { version, tags } = this.#current.get(resource.path) as Current
    const made: Generated = { generation: ++this.#counter, path: resource.path, version, tags }
    this.#generated.set(made.generation, made)
    if (failure === '503') {
      response.writeHead(503, { 'X-Generation': made.generation }).end()
      return
    }
    this.#lastOfVersion.set(version, made)
    await this.#hesitate()
    await this.#send(request, response, resource, made, failure === 'cut')
  }

  async #send(request: IncomingMessage, response: ServerResponse, resource: Resource, made: Generated, cut: boolean): Promise<void> {
    const { headers } = request
    const variant = variantOf(resource, headers['x-flavour'], resource.variesBy === 'cookie' ? sessionOf(headers.cookie) : headers['x-asker'])
    const etag = etagOf(resource, made.version, variant)
    const fields: Record<string, string | number> = { 'Cache-Control': resource.control(made.version), 'X-Generation': made.generation }
    if (etag !== undefined) fields['ETag'] = etag
    if (made.tags.length > 0) fields['Cache-Tag'] = made.tags.join(', ')
    if (resource.variesBy === 'flavour') fields['Vary'] = 'X-Flavour'
    if (etag !== undefined && headers['if-none-match'] === etag) {
      this.notModified++
      response.writeHead(304, fields).end()
      return
    }
    // Not in a 304, nor in the response to a HEAD: a cache that merges it keeps the field that names the origin of the
    // bytes.
    if (request.method !== 'HEAD') fields['X-Body-Generation'] = made.generation
    const whole = bodyOf({ path: resource.path, variant, stamp: resource.validator === 'strong' ? made.version : made.generation })
    const part = partOf(headers, etag, resource, whole.length)
    const body = part === undefined ? whole : whole.subarray(part.start, part.end)
    if (part !== undefined) fields['Content-Range'] = `bytes ${part.start}-${part.end - 1}/${whole.length}`
    if (!resource.chunked) fields['Content-Length'] = body.length
    response.writeHead(part === undefined ? 200 : 206, fields)
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    response.flushHeaders()
    const step = Math.max(1, Math.ceil(body.length / this.#random.between(1, 4)))
    for (let from = 0; from < body.length; from += step) {
      await this.#hesitate()
      if (cut && from + step >= body.length) {
        response.destroy()
        return
      }
      response.write(body.subarray(from, from + step))
    }
    response.end()
  }

  // RFC 9111 §4.4: Content-Location of the same origin is invalidated with the target itself, which has no other use here.
  async #changed(resource: Resource, response: ServerResponse): Promise<void> {
    this.change(resource)
    const generation = ++this.#counter
    await this.#hesitate()
    response.writeHead(200, { 'Content-Location': resource.path, 'X-Generation': generation, 'Content-Length': 0 }).end()
  }
}

// A single range of a representation whose validator guarantees its bytes (RFC 9110 §13.1.5, §14.2); other ranges get the
// whole.
function partOf({ range, 'if-range': ifRange }: IncomingHttpHeaders, etag: string | undefined, { validator }: Resource, length: number):
  | { start: number; end: number }
  | undefined {
  const asked = /^bytes=(\d+)-(\d+)$/.exec(range ?? '')
  if (asked === null || validator !== 'strong' || (ifRange !== undefined && ifRange !== etag)) return undefined
  const start = Number(asked[1])
  const end = Math.min(length, Number(asked[2]) + 1)
  return start < end ? { start, end } : undefined
}

function sessionOf(cookie: string | undefined): string | undefined {
  return /^session=(\w+)$/.exec(cookie ?? '')?.[1]
}

export function variantOf({ variesBy }: Resource, flavour: unknown, asker: unknown): string {
  if (variesBy === 'nothing') return '-'
  const value = variesBy === 'flavour' ? flavour : asker
  return typeof value === 'string' ? value : 'none'
}
