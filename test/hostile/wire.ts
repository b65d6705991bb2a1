// A strict reader of HTTP/1.1 bytes (RFC 9112). A reader that differs from it could be misled.

/** A message as it stood on the wire. */
export interface WireMessage {
  /** Request line or status line. */
  readonly line: string
  /** Names as they were written; values without white space around them. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly trailers: readonly (readonly [name: string, value: string])[]
}

/** The content of a run of bytes: whole messages, and then nothing, the beginning of another, or bytes that cannot be read. */
export interface Reading {
  readonly messages: readonly WireMessage[]
  /** Bytes of a message that has not come to its end. */
  readonly rest: string
  /** The first fault, behind which nothing can be trusted, or undefined if there is none. */
  readonly fault: string | undefined
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// RFC 9110 §5.5: visible characters and obs-text, with spaces and tabs between them. latin1.
// eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a value
const fieldContent = /^(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
const requestLine = /^([^ ]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/
const statusLine = /^HTTP\/1\.1 ([1-5]\d\d) [\t \x21-\x7e\x80-\xff]*$/

class Fault extends Error {}
class Unfinished extends Error {}

class Reader {
  readonly #text: string
  readonly #extensions: boolean
  at = 0

  constructor(text: string, extensions: boolean) {
    this.#text = text
    this.#extensions = extensions
  }

  /** Empty lines before a request (§2.2), with any line end. */
  skipEmptyLines(): void {
    while (this.#text[this.at] === '\r' || this.#text[this.at] === '\n') this.at++
  }

  get over(): boolean {
    return this.at >= this.#text.length
  }

  /** To the next CRLF; a CR or LF by itself is a fault (§2.2). */
  line(): string {
    const end = this.#text.indexOf('\r\n', this.at)
    const line = this.#text.slice(this.at, end === -1 ? undefined : end)
    if (/\n|\r(?!$)/.test(line) || (end !== -1 && line.includes('\r'))) throw new Fault(`a bare CR or LF in ${JSON.stringify(line)}`)
    if (end === -1) throw new Unfinished()
    this.at = end + 2
    return line
  }

  bytes(count: number): string {
    if (this.#text.length - this.at < count) throw new Unfinished()
    this.at += count
    return this.#text.slice(this.at - count, this.at)
  }

  toEnd(): string {
    return this.bytes(this.#text.length - this.at)
  }

  fields(): [string, string][] {
    const fields: [string, string][] = []
    for (;;) {
      const line = this.line()
      if (line === '') return fields
      const colon = line.indexOf(':')
      const name = line.slice(0, colon)
      const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '')
      if (colon < 1 || !token.test(name)) throw new Fault(`no field: ${JSON.stringify(line)}`)
      if (!fieldContent.test(value)) throw new Fault(`no field value: ${JSON.stringify(line)}`)
      fields.push([name, value])
    }
  }

  /** §7.1. Extensions are for clients: the proxy sends none. */
  chunks(): { body: string; trailers: [string, string][] } {
    let body = ''
    for (;;) {
      const line = this.line()
      const size = this.#extensions ? line.replace(/[\t ]*;[\t \x21-\x7e\x80-\xff]*$/, '') : line
      if (!(this.#extensions ? /^0*[0-9a-f]{1,8}$/i : /^[0-9a-f]{1,8}$/i).test(size)) throw new Fault(`no chunk size: ${JSON.stringify(size)}`)
      const length = Number.parseInt(size, 16)
      if (length === 0) return { body, trailers: this.fields() }
      body += this.bytes(length)
      if (this.bytes(2) !== '\r\n') throw new Fault('a chunk that is longer than it says')
    }
  }
}

function valuesOf(fields: readonly (readonly [string, string])[], name: string): string[] {
  return fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value)
}

function parseWith(bytes: string, next: (reader: Reader) => WireMessage, extensions = false): Reading {
  const reader = new Reader(bytes, extensions)
  const messages: WireMessage[] = []
  let start = 0
  try {
    while (!reader.over) {
      start = reader.at
      messages.push(next(reader))
      start = reader.at
    }
    return { messages, rest: '', fault: undefined }
  } catch (error) {
    if (error instanceof Unfinished) return { messages, rest: bytes.slice(start), fault: undefined }
    if (error instanceof Fault) return { messages, rest: bytes.slice(start), fault: error.message }
    throw error
  }
}

/** Length and coding, of which there may be one (§6.3). */
function framing(fields: readonly (readonly [string, string])[]): 'chunked' | number | undefined {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Fault('more than one framing')
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Fault(`Transfer-Encoding: ${codings[0]}`)
    return 'chunked'
  }
  const [length] = lengths
  if (length === undefined) return undefined
  if (!/^(?:0|[1-9]\d{0,14})$/.test(length)) throw new Fault(`Content-Length: ${length}`)
  return Number(length)
}

/** Reads the bytes that an origin received on one connection (latin1). Everything that could be read in two ways is a fault. */
export function readRequests(bytes: string): Reading {
  return parseWith(bytes, (reader) => {
    const line = reader.line()
    const [, method = '', target = ''] = requestLine.exec(line) ?? []
    if (!token.test(method)) throw new Fault(`no request line: ${JSON.stringify(line)}`)
    if (!(target.startsWith('/') || (target === '*' && method === 'OPTIONS'))) throw new Fault(`no target: ${JSON.stringify(line)}`)
    const fields = reader.fields()
    const hosts = valuesOf(fields, 'host')
    // §3.2: from a gateway that speaks 1.1; a client of 1.0 may have named none.
    if (hosts.length > 1 || /[\s@/\\?#,]/.test(hosts[0] ?? '')) throw new Fault(`Host: ${hosts.join(' | ')}`)
    if (valuesOf(fields, 'upgrade').some((protocol) => protocol !== 'websocket')) throw new Fault('an upgrade')
    const length = framing(fields)
    if (length === 'chunked') return { line, fields, ...reader.chunks() }
    return { line, fields, body: reader.bytes(length ?? 0), trailers: [] }
  })
}

/**
 * Reads the bytes of a client (latin1), with all that RFC 9112 lets a recipient take. That is empty lines before a request,
 * any form of target, chunk extensions, and HTTP/1.0, for which Node's parser takes RTSP/1.0 and ICE/1.0 as well. Every
 * message that a proxy passes on must be among these.
 */
export function readClient(bytes: string): Reading {
  return parseWith(bytes, (reader) => {
    reader.skipEmptyLines()
    if (reader.over) throw new Unfinished()
    const line = reader.line()
    const [, method = '', , version = ''] = /^([^ ]+) +([\x21-\x7e\x80-\xff]+) +(HTTP\/1\.[01]|RTSP\/1\.0|ICE\/1\.0)$/.exec(line) ?? []
    if (!token.test(method)) throw new Fault(`no request line: ${JSON.stringify(line)}`)
    const fields = reader.fields()
    const length = framing(
      fields.map(([name, value]) => [name, /^content-length$/i.test(name) ? value.replace(/^0+(?=\d)/, '') : /^transfer-encoding$/i.test(name) ? value.toLowerCase() : value]),
    )
    if (length === 'chunked' && version !== 'HTTP/1.1') throw new Fault('chunks in HTTP/1.0')
    if (length === 'chunked') return { line, fields, ...reader.chunks() }
    return { line, fields, body: reader.bytes(length ?? 0), trailers: [] }
  }, true)
}

/**
 * Reads the bytes that a client received on one connection (latin1), up to the end of the connection.
 * @param methods the methods of the requests, in order, for HEAD has no body; GET where there are none left
 */
export function readResponses(bytes: string, methods: readonly string[] = []): Reading {
  let final = 0
  return parseWith(bytes, (reader) => {
    const line = reader.line()
    const status = Number(statusLine.exec(line)?.[1])
    if (Number.isNaN(status)) throw new Fault(`no status line: ${JSON.stringify(line)}`)
    const fields = reader.fields()
    const length = framing(fields)
    const method = status < 200 ? undefined : methods[final++]
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { line, fields, body: '', trailers: [] }
    if (length === 'chunked') return { line, fields, ...reader.chunks() }
    return { line, fields, body: length === undefined ? reader.toEnd() : reader.bytes(length), trailers: [] }
  })
}

/** The combined value of a field. */
export function wireField(message: WireMessage, name: string): string | undefined {
  const values = valuesOf(message.fields, name)
  return values.length === 0 ? undefined : values.join(', ')
}

export function statusOf(message: WireMessage | undefined): number {
  return Number(message?.line.split(' ')[1])
}
