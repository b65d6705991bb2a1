// The settings of the proxy listener.
import type { ProxyConfig } from '../../config/schema.ts'
import type { LoadLimits } from '../admission/load.ts'

/** A certificate chain and its private key, as PEM. */
export interface TlsFiles {
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

/** The TLS of the listener: the default certificate, and all of them if there are several. */
export interface ListenerTls extends TlsFiles {
  readonly certificates?: readonly TlsFiles[]
  readonly http2: boolean
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** The settings of the listener, and its TLS files read. The settings are described in config/schema/listeners.ts. */
export interface ProxyOptions extends Readonly<Pick<ProxyConfig, 'viaName' | 'maxHeaderBytes' | 'maxTargetBytes' | 'h2c' | 'healthPath'>>, LoadLimits {
  readonly trustProxy: boolean | readonly string[]
  readonly timeouts: {
    /** For the head of a request, and for each 16 KiB of its body. 0: none. See upload-timeout.ts. */
    readonly requestMs: number
    /** From the first byte of a request to the end of its head. */
    readonly headersMs: number
    /** How long an idle connection is kept; longer than the load balancer in front keeps it. */
    readonly keepAliveMs: number
    /** How long a client may stop reading a response. 0: no limit. */
    readonly stalledMs: number
  }
  /** How long a client that has ended its side waits for a head; 10 s unless given. */
  readonly halfClosedMs?: number
  /** PEM. Without it the listener speaks plain HTTP. */
  readonly tls?: ListenerTls
}
