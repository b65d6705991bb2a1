// What the configuration says of one origin: its servers, and how patient the proxy is with them.

export type Balance = 'least-pending' | 'round-robin'

export interface OriginTimeouts {
  /** From the first packet to a usable connection, TLS included. */
  readonly connectMs: number
  /** From the end of the request to the end of the response's head. */
  readonly headersMs: number
  /** The longest silence within a body. 0: none. An answer that is a text/event-stream is never held to it. */
  readonly idleMs: number
}

export interface OriginTls {
  /** PEM of the authorities to believe, in place of the system's. */
  readonly ca?: string | Buffer
  /** The name that the certificate must carry and that SNI asks for; the host of the server's URL when absent. */
  readonly servername?: string
  /** Off only by a decision of the operator: upstream TLS is verified by default. */
  readonly rejectUnauthorized?: boolean
}

export interface OriginConfig {
  /** Base URLs, scheme and authority alone: `http://api-1:3000`; with a weight other than 1 behind it, `http://api-1:3000 weight=3`. */
  readonly servers: readonly string[]
  readonly balance: Balance
  readonly health?: { readonly path: string; readonly intervalMs: number }
  readonly timeouts: OriginTimeouts
  /**
   * Which connections a request that must not be sent twice may take. A server closes what is idle when it likes, and one that
   * does so just as the request is written leaves nobody knowing whether it was taken. `safe`: none that has been idle.
   */
  readonly reuse: 'safe' | 'always'
  /** Whether servers are spoken to in HTTP/2, where they can: see Sessions. */
  readonly http2?: boolean
  /** Connections to each server; requests under way at once, where one connection carries many. */
  readonly maxConnections: number
  /** Requests that may wait for a connection to each server; beyond it, ORIGIN_BUSY. */
  readonly maxQueue: number
  /** How often a request that may safely be sent again is, after a connection failed; see RetryBudget. */
  readonly retries: number
  readonly tls?: OriginTls
}

/** The URL of a server as the configuration writes it. */
export function serverUrl(server: string): string {
  return server.split(' ', 1)[0] as string
}

export function serverWeight(server: string): number {
  return Number(/ weight=(\d+)$/.exec(server)?.[1] ?? 1)
}
