// The configuration of one origin as its pool takes it: described in config/schema/origins.ts, with the files of TLS read.
import type { OriginSettings } from '../config/schema.ts'

type OriginTlsSettings = NonNullable<OriginSettings['tls']>

/** How a server's certificate is verified: `ca` is PEM, where the configuration has the path of a file. */
export type OriginTls = Readonly<Partial<Omit<OriginTlsSettings, 'ca'>>> & { readonly ca?: string | Buffer }

export type OriginTimeouts = Readonly<OriginSettings['timeouts']>

export type OriginConfig = Readonly<Omit<OriginSettings, 'servers' | 'http2' | 'tls'>> & {
  readonly servers: readonly string[]
  readonly http2?: boolean
  readonly tls?: OriginTls
}
