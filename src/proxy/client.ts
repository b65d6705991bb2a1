// The client of one request. Its properties are computed only when they are read.
import { randomUUID } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { firstRawValue } from '../http/fields.ts'
import { plainAddress } from '../forwarding/trusted-proxies.ts'
import { readForwarded } from '../forwarding/forwarded.ts'
import type { RequestContext } from '../forwarding/request-context.ts'
import type { ClientRequest } from './listener/client-request.ts'

// RFC 9110 §5.6.2 token characters: safe in a log line, a header and a URL.
const safeToken = /^[!#$%&'*+.^_`|~\w-]{1,128}$/

/**
 * Computed on demand, because a hit needs hardly any of it. The socket's properties are noted at once, because a request that
 * is over has no socket.
 */
export class IncomingClient implements RequestContext {
  readonly #request: ClientRequest
  readonly #trusts: (address: string) => boolean
  readonly #peer: string | undefined
  readonly #encrypted: boolean
  #scheme: 'http' | 'https' | undefined
  #requestId: string | undefined
  #trusted: boolean | undefined

  constructor(request: ClientRequest, trusts: (address: string) => boolean) {
    this.#request = request
    const socket = request.socket as Partial<TLSSocket> | undefined
    this.#peer = socket?.remoteAddress
    this.#encrypted = socket?.encrypted === true
    this.#trusts = trusts
  }

  get address(): string {
    return plainAddress(this.#peer)
  }

  get scheme(): 'http' | 'https' {
    return this.#scheme ??= this.#trustedScheme() ?? (this.#encrypted ? 'https' : 'http')
  }

  get httpVersion(): string {
    return this.#request.httpVersion
  }

  get trusted(): boolean {
    return this.#trusted ??= this.#trusts(this.address)
  }

  get requestId(): string {
    this.#requestId ??= this.#trustedId() ?? randomUUID()
    return this.#requestId
  }

  #trustedId(): string | undefined {
    const id = this.#trustedField('x-request-id')
    return id !== undefined && safeToken.test(id) ? id : undefined
  }

  // If a trusted proxy ends TLS, its X-Forwarded-Proto names the scheme. The field is forwarded to the origin, so it is part of
  // the key.
  #trustedScheme(): 'http' | 'https' | undefined {
    const scheme = (this.#trustedField('x-forwarded-proto') ?? this.#forwardedProto())?.trim().toLowerCase()
    return scheme === 'http' || scheme === 'https' ? scheme : undefined
  }

  // For a proxy that sends Forwarded alone.
  #forwardedProto(): string | undefined {
    const forwarded = this.#trustedField('forwarded')
    return forwarded === undefined ? undefined : readForwarded(forwarded)?.[0]?.proto
  }

  #trustedField(name: string): string | undefined {
    return this.trusted ? firstRawValue(this.#request.rawHeaders, name) : undefined
  }
}
