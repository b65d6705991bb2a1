// What the proxy listener is told by the configuration.

/** A certificate chain and its private key, as PEM. */
export interface TlsFiles {
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

export interface ProxyOptions {
  /** Whose X-Forwarded-* and Forwarded are believed: see forwarding/trusted-proxies.ts. */
  readonly trustProxy: boolean | readonly string[]
  /** The name in Via, by which the proxy also knows a request that it has seen before. */
  readonly viaName: string
  /** Request line and header fields together; beyond it 431. */
  readonly maxHeaderBytes: number
  /** Path and query; beyond it 414. */
  readonly maxTargetBytes: number
  readonly timeouts: {
    /** For the head of a request, and for each 16 KiB of its body. 0: none. See upload-timeout.ts. */
    readonly requestMs: number
    /** From the first byte of a request to the end of its head. */
    readonly headersMs: number
    /** How long an idle connection is kept; longer than the load balancer in front keeps it. */
    readonly keepAliveMs: number
    /** How long a client may take nothing of an answer that waits for it. 0: for ever. */
    readonly stalledMs: number
  }
  /** PEM. Without it the listener speaks plain HTTP. */
  readonly tls?: TlsFiles & { readonly http2: boolean }
}
