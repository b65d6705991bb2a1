// The configuration of one origin: its servers, timeouts, TLS and limits.

type OriginTlsSettings = NonNullable<OriginSettings['tls']>

export interface OriginTimeouts {
  /** Time from the first packet to a usable connection, TLS included. */
  readonly connectMs: number
  /** Time from the end of the request to the end of the response's header section. */
  readonly headersMs: number
  /** The longest pause within a body. 0: no limit. Never applied to a text/event-stream. */
  readonly idleMs: number
}

export interface OriginTls {
  /** PEM of the certificate authorities to trust, in place of the system's. */
  readonly ca?: string | Buffer
  /** Name for SNI and for the certificate check; the host of the server's URL if absent. */
  readonly servername?: string
  /** Verifies the server's certificate. On by default; only the operator turns it off. */
  readonly rejectUnauthorized?: boolean
}

export interface OriginConfig {
  /** Base URLs, scheme and authority only: `http://api-1:3000`, or with a weight other than 1 `http://api-1:3000 weight=3`. */
  readonly servers: readonly string[]
  readonly balance: Balance
  readonly health?: { readonly path: string; readonly intervalMs: number }
  readonly timeouts: OriginTimeouts
  /**
   * Which connections may carry a request that must not be sent twice. A server may close an idle connection just as the request
   * is written, and the proxy cannot know whether it was processed. `safe`: only connections that have not been idle.
   */
  readonly reuse: 'safe' | 'always'
  /** True if HTTP/2 is used to servers that support it: see Http2Pool. */
  readonly http2?: boolean
  /** Most connections to each server; over HTTP/2, most requests in flight. */
  readonly maxConnections: number
  /** Most requests that may wait for a connection to each server. Further requests fail with ORIGIN_BUSY. */
  readonly maxQueue: number
  /** How often a repeatable request is sent again after its connection failed; see RetryBudget. */
  readonly retries: number
  readonly tls?: OriginTls
}

/** Returns the URL of a server entry, without its weight. */
export function serverUrl(server: string): string {
  return server.split(' ', 1)[0] as string
}

export function serverWeight(server: string): number {
  return Number(/ weight=(\d+)$/.exec(server)?.[1] ?? 1)
}
