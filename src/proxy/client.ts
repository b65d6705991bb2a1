// The client of one request, asked for only as far as somebody wants to know.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { ClientConnection } from '../origin/forward.ts'
import { plainAddress } from '../origin/trust.ts'

// RFC 9110 §5.6.2 token characters: safe in a log line, a header and a URL.
const safeToken = /^[!#$%&'*+.^_`|~\w-]{1,128}$/

/** Computed on demand, for a hit asks for none of it; but the address is noted at once, for a closed socket has none. */
export class IncomingClient implements ClientConnection {
  readonly #request: IncomingMessage
  readonly #trusts: (address: string) => boolean
  readonly #peer: string | undefined
  #requestId: string | undefined

  constructor(request: IncomingMessage, trusts: (address: string) => boolean) {
    this.#request = request
    this.#peer = request.socket.remoteAddress
    this.#trusts = trusts
  }

  get address(): string {
    return plainAddress(this.#peer)
  }

  get scheme(): 'http' | 'https' {
    return (this.#request.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http'
  }

  get httpVersion(): string {
    return this.#request.httpVersion
  }

  get trusted(): boolean {
    return this.#trusts(this.address)
  }

  get requestId(): string {
    this.#requestId ??= this.#trustedId() ?? randomUUID()
    return this.#requestId
  }

  #trustedId(): string | undefined {
    if (!this.trusted) return undefined
    const { rawHeaders } = this.#request
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i]?.toLowerCase() !== 'x-request-id') continue
      const id = rawHeaders[i + 1] as string
      return safeToken.test(id) ? id : undefined
    }
    return undefined
  }
}
