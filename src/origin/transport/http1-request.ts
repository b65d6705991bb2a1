// Writes a request to an HTTP/1.1 server (RFC 9112 §3, §6): head and body in one write, if the body is at hand and small.
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import type { TransportRequest } from './transport.ts'

/** The longest body that is joined to its head. A longer one is cheaper as a second piece of the same write. */
const longestJoined = 16_384

/** Methods whose requests have a body, so that its absence is announced (RFC 9110 §8.6). */
const expectsBody: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

// Bytes that would end the target, a field or the head early, and so let a second request be smuggled.
const notInTarget = /[^\x21-\xff]/
// eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a value
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// Fields of the connection and of framing are this file's alone.
const ownFields: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect'])

/** A request that is ready to be written. */
export interface Http1Request {
  /** The head, without the fields that frame the body and without its end. */
  readonly head: string
  readonly body: Readable | Buffer | null
  /** The length of the body; -1 if it is unknown. */
  readonly length: number
  /** False if the connection must carry no other request: many servers do not read a body where the method expects none. */
  readonly persists: boolean
  /** True if the absence of a body must be announced. */
  readonly expectsBody: boolean
}

/**
 * Renders a request. Returns undefined for one that no client may send: bytes that would change where it ends, fields that this hop
 * sends itself, or a length that is not that of its body.
 * @param host the Host to send if the request has none
 */
export function renderRequest({ method, path, fields, body: given }: TransportRequest, host: string): Http1Request | undefined {
  // RFC 9112 §3.2.1: the origin form. Anything else makes this request mean another server.
  if (path[0] !== '/' || notInTarget.test(path) || !token.test(method)) return undefined
  const body = typeof given === 'string' ? Buffer.from(given) : given
  let text = ''
  let ownHost: string | undefined
  let announced: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    if (notInValue.test(value) || !isName(name)) return undefined
    if (name === 'host' && ownHost === undefined) ownHost = value
    else if (name === 'content-length') {
      if (announced !== undefined || !/^\d{1,15}$/.test(value)) return undefined
      announced = value
    } else text += `${name}: ${value}\r\n`
  }
  const length = Buffer.isBuffer(body) ? body.length : body === null ? 0 : announced === undefined ? -1 : Number(announced)
  if (announced !== undefined && Number(announced) !== length) return undefined
  const expects = expectsBody.has(method)
  const persists = expects || body === null
  const head = `${method} ${path} HTTP/1.1\r\nhost: ${ownHost ?? host}\r\nconnection: ${persists ? 'keep-alive' : 'close'}\r\n${text}`
  return { head, body, length, persists, expectsBody: expects }
}

const names = new Set<string>()

function isName(name: string): boolean {
  if (names.has(name)) return true
  if (!token.test(name) || ownFields.has(name.toLowerCase())) return false
  if (names.size < 1_000 && name.length <= 64) names.add(name)
  return true
}

/** Writes a request whose body is at hand, in one write. */
export function writeWhole(socket: Socket, { head, body, expectsBody: expects }: Http1Request): void {
  if (!Buffer.isBuffer(body)) return void socket.write(expects ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`, 'latin1')
  if (body.length === 0 && !expects) return void socket.write(`${head}\r\n`, 'latin1')
  writeJoined(socket, `${head}content-length: ${body.length}\r\n\r\n`, body)
}

function writeJoined(socket: Socket, before: string, body: Buffer): boolean {
  if (body.length <= longestJoined) return socket.write(before + body.toString('latin1'), 'latin1')
  socket.cork()
  socket.write(before, 'latin1')
  const takesMore = socket.write(body)
  socket.uncork()
  return takesMore
}

/** Events of an upload. */
export interface UploadListener {
  /** Bytes moved. @param blocked true if the server takes no more for now, so that only it can hold the upload up */
  onUploadMoved(blocked: boolean): void
  onUploaded(): void
  /** The body broke off, or has not the announced length. */
  onUploadFailed(error: Error): void
}

/** Sends a body as it arrives, at the pace of the server. The head goes with the first bytes. */
export class Upload {
  readonly #socket: Socket
  readonly #body: Readable
  readonly #request: Http1Request
  readonly #listener: UploadListener
  #headSent = false
  #sent = 0
  #stopped = false

  constructor(socket: Socket, request: Http1Request, listener: UploadListener) {
    this.#socket = socket
    this.#body = request.body as Readable
    this.#request = request
    this.#listener = listener
  }

  start(): void {
    const body = this.#body
    body.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onBroken).on('close', this.#onBroken)
    this.#socket.on('drain', this.#onDrain)
    if (body.readableEnded) this.#onEnd()
    else if (body.destroyed) this.#onBroken()
    else body.resume()
  }

  /** Reads no more of the body. Its owner has to discard the rest. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    const body = this.#body
    body.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onBroken).off('close', this.#onBroken)
    // It may still break off, and an error without a listener would end the process.
    body.on('error', ignore)
    body.pause()
    this.#socket.off('drain', this.#onDrain)
  }

  readonly #onData = (chunk: Buffer): void => {
    const { length } = this.#request
    this.#sent += chunk.length
    if (length >= 0 && this.#sent > length) return this.#mismatch()
    if (chunk.length === 0) return
    const before = this.#beforeBody(length < 0)
    const takesMore = writeJoined(this.#socket, length < 0 ? `${before}${chunk.length.toString(16)}\r\n` : before, chunk)
    if (!takesMore) this.#body.pause()
    this.#listener.onUploadMoved(!takesMore)
  }

  /** Returns what stands before bytes of the body: the head, or the end of the chunk before. */
  #beforeBody(chunked: boolean): string {
    if (this.#headSent) return chunked ? '\r\n' : ''
    this.#headSent = true
    const { head, length } = this.#request
    return chunked ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}content-length: ${length}\r\n\r\n`
  }

  readonly #onDrain = (): void => {
    this.#body.resume()
    this.#listener.onUploadMoved(false)
  }

  readonly #onEnd = (): void => {
    const { length, expectsBody: expects, head } = this.#request
    if (length >= 0 && this.#sent !== length) return this.#mismatch()
    this.stop()
    if (this.#headSent) {
      if (length < 0) this.#socket.write('\r\n0\r\n\r\n', 'latin1')
    } else this.#socket.write(expects ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`, 'latin1')
    this.#listener.onUploaded()
  }

  readonly #onBroken = (error?: Error): void => {
    this.stop()
    this.#listener.onUploadFailed(new SpringhouseError('CLIENT_GONE', { cause: error, detail: 'the body broke off' }))
  }

  // RFC 9112 §6.3: the server would take the next request for the rest of this body. The client caused it.
  #mismatch(): void {
    this.stop()
    this.#listener.onUploadFailed(new SpringhouseError('BAD_REQUEST', { detail: 'the body does not have the length of its Content-Length' }))
  }
}

function ignore(): void {
  // The request is over.
}
