// The parser that undici ships, for one response at a time: what the own one is compared with.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** A response as a parser read it. Names are in lower case, values without outer white space. */
export interface ParsedResponse {
  /** The statuses of interim responses, without 100. */
  readonly interims: readonly number[]
  readonly status: number
  readonly lines: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_finish(parser: number): number
  malloc(bytes: number): number
}

const typeResponse = 2
const longest = 1_048_576

/** Parses responses with llhttp. */
export class Llhttp {
  readonly #exports: Exports
  readonly #at: number
  #method = 'GET'
  #section: string[] = []
  #status = 0
  #interims: number[] = []
  #lines: readonly string[] = []
  #body: string[] = []
  #trailers: readonly string[] = []
  #complete = false
  #afterHead = false

  constructor() {
    // The tests run compiled, from .build/test. The file is undici's own, and not part of what it exports.
    const wasm = require('../../../node_modules/undici/lib/llhttp/llhttp-wasm.js') as Buffer
    const text = (at: number, length: number): string => Buffer.from(this.#exports.memory.buffer, at, length).toString('latin1')
    const env = {
      wasm_on_url: () => 0,
      wasm_on_status: () => 0,
      wasm_on_message_begin: () => this.#begin(),
      wasm_on_header_field: (_: number, at: number, length: number) => this.#take(0, text(at, length)),
      wasm_on_header_value: (_: number, at: number, length: number) => this.#take(1, text(at, length)),
      wasm_on_headers_complete: (_: number, status: number) => this.#head(status),
      wasm_on_body: (_: number, at: number, length: number) => this.#take('body', text(at, length)),
      wasm_on_message_complete: () => this.#end(),
    }
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: { Module: new(bytes: Buffer) => object; Instance: new(module: object, imports: object) => { exports: unknown } }
    }
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env }).exports as Exports
    this.#at = this.#exports.malloc(longest)
  }

  /** Returns the final response that the bytes are, exactly; undefined if they are anything else. @param ended true if the connection ended behind them */
  parse(bytes: Buffer, method: string, ended: boolean): ParsedResponse | undefined {
    this.#method = method
    this.#interims = []
    this.#body = []
    this.#complete = false
    const parser = this.#exports.llhttp_alloc(typeResponse)
    try {
      new Uint8Array(this.#exports.memory.buffer, this.#at, bytes.length).set(bytes)
      if (this.#exports.llhttp_execute(parser, this.#at, bytes.length) !== 0) return undefined
      if (ended && this.#exports.llhttp_finish(parser) !== 0) return undefined
      return this.#complete ? { interims: this.#interims, status: this.#status, lines: this.#lines, body: this.#body.join(''), trailers: this.#trailers } : undefined
    } finally {
      this.#exports.llhttp_free(parser)
    }
  }

  #begin(): number {
    this.#section = []
    this.#afterHead = false
    return this.#complete ? -1 : 0
  }

  /** Takes a part of a name (0), of a value (1) or of the body. */
  #take(odd: 0 | 1 | 'body', text: string): number {
    const last = this.#section.length - 1
    if (odd === 'body') this.#body.push(text)
    else if (this.#section.length % 2 === odd) this.#section.push(text)
    else this.#section[last] += text
    return 0
  }

  #head(status: number): number {
    this.#status = status
    this.#lines = settled(this.#section)
    this.#section = []
    this.#afterHead = true
    // RFC 9112 §6.3: no body, whatever the fields say. llhttp leaves that to its caller.
    return this.#method === 'HEAD' || status < 200 || status === 204 || status === 304 ? 1 : 0
  }

  #end(): number {
    if (this.#status >= 200) {
      this.#complete = true
      this.#trailers = this.#afterHead ? settled(this.#section) : []
    } else if (this.#status !== 100) this.#interims.push(this.#status)
    return 0
  }
}

function settled(section: readonly string[]): string[] {
  return section.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text.replace(/^[\t ]+|[\t ]+$/g, '')))
}
