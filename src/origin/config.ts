// The configuration of one origin as its pool takes it: described in config/schema/origins.ts, with the files of TLS read.
import type { OriginSettings } from '../config/schema.ts'

type OriginTlsSettings = NonNullable<OriginSettings['tls']>

/** How a server's certificate is verified, and the own certificate: PEM, where the configuration has paths of files. */
export type OriginTls = Readonly<Partial<Omit<OriginTlsSettings, 'ca' | 'cert' | 'key'>>> & { readonly ca?: string | Buffer; readonly cert?: string; readonly key?: string }

export type OriginTimeouts = Readonly<OriginSettings['timeouts']>

export type OriginConfig = Readonly<Omit<OriginSettings, 'servers' | 'http2' | 'tls' | 'hostHeader'>> & {
  readonly servers: readonly string[]
  readonly http2?: boolean
  /** The Host that servers get: `client` unless given. */
  readonly hostHeader?: string
  readonly tls?: OriginTls
}

/** Returns what node:tls needs of an origin's files. */
export function ownTls({ ca, cert, key }: OriginTls = {}): { ca?: string | Buffer; cert?: string; key?: string } {
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}
