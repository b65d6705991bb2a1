// Clients for tests: one that reads responses as they are on the wire, and one that sends any bytes at all.
import { request as httpRequest } from 'node:http'
import type { Agent, IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { rawHeader } from './scripted-origin.ts'

export interface Answer {
  readonly status: number
  readonly rawHeaders: readonly string[]
  /** The combined value of a field, by its lower-case name. */
  header(name: string): string | undefined
  readonly body: Buffer
  /** True if the message came to its end. */
  readonly complete: boolean
}

export interface Ask {
  readonly method?: string
  /** Sent as it is: odd targets stay odd. */
  readonly path?: string
  /** Name, value, name, value; Host is added where it is missing. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer | Readable
  readonly agent?: Agent
}

/** Sends a request to 127.0.0.1 and reads the response to its end, or to the point where it broke off. Rejects when there is none. */
export function ask(port: number, options: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = open(port, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => undefined)
      response.on('close', () => resolve(answerOf(response, Buffer.concat(chunks))))
    })
    request.on('error', reject)
  })
}

/** The same, but hands over the response at its head; the caller reads on, or does not. */
export function open(port: number, options: Ask, onHead: (response: IncomingMessage) => void): ReturnType<typeof httpRequest> {
  const headers = [...(options.headers ?? [])]
  if (rawHeader(headers, 'host') === undefined) headers.push('Host', `127.0.0.1:${port}`)
  const { body } = options
  if ((typeof body === 'string' || Buffer.isBuffer(body)) && rawHeader(headers, 'content-length') === undefined) {
    headers.push('Content-Length', String(Buffer.byteLength(body)))
  }
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    method: options.method ?? 'GET',
    path: options.path ?? '/',
    headers,
    agent: options.agent ?? false,
    setHost: false,
  })
  request.on('response', onHead)
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body)
  else body.pipe(request)
  return request
}

function answerOf(response: IncomingMessage, body: Buffer): Answer {
  return {
    status: response.statusCode ?? 0,
    rawHeaders: response.rawHeaders,
    header: (name) => rawHeader(response.rawHeaders, name),
    body,
    complete: response.complete,
  }
}

/** Sends bytes (latin1) over a connection of their own and gives back all that came until the other side closed it. */
export function rawRequest(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (chunks.length === 0) reject(error)
    })
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}
