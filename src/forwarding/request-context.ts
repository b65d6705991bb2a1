// The hop between client and proxy, for forwarding and for the key.

/** The hop between the client and the proxy, as the proxy sees it. */
export interface RequestContext {
  /** The peer's IP address. IPv4 in its own notation, also on a dual-stack socket. */
  readonly address: string
  /** The client's scheme: from a trusted proxy's X-Forwarded-Proto, or else from this connection. */
  readonly scheme: 'http' | 'https'
  /** The version of the client's message: `1.1`, `1.0`. */
  readonly httpVersion: string
  /** True if `trustProxy` names the peer. Then its statements about earlier hops are trusted. */
  readonly trusted: boolean
  /** A token that is safe to log and to forward: the trusted client's, or the proxy's own. */
  readonly requestId: string
}
