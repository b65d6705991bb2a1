// The hop between client and proxy, as forwarding and the key need it.

/** The hop between the client and the proxy, as the proxy saw it. */
export interface RequestContext {
  /** The peer's IP address; IPv4 in its own notation, also on a socket that listens on both. */
  readonly address: string
  /** How the client asked: as a trusted proxy before this one says in X-Forwarded-Proto, or else on this connection. */
  readonly scheme: 'http' | 'https'
  /** Of the client's message: `1.1`, `1.0`. */
  readonly httpVersion: string
  /** Whether `trustProxy` names the peer: then what it says about those before it is believed. */
  readonly trusted: boolean
  /** A token that is safe to log and to pass on: the trusted client's, or the proxy's own. */
  readonly requestId: string
}
