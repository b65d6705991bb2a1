// Certificates, keys and authorities: reads the files that a configuration names.
import { readFileSync } from 'node:fs'
import { pemProblems, type PemSettings } from './config/certificates.ts'
import { problemLine } from './config/problem.ts'
import type { Config, RedisConfig } from './config/schema.ts'
import type { OriginConfig } from './origin/config.ts'
import type { TlsFiles } from './proxy/listener/options.ts'
import type { RedisTls } from './store/redis/connect/client.ts'

/**
 * The listener's certificate and key; undefined for a listener without TLS.
 * @throws Error that names what is wrong with which file.
 */
export function listenerTls({ tls }: Config['proxy']): (TlsFiles & { readonly http2: boolean }) | undefined {
  if (tls === undefined) return undefined
  requireSound({ path: 'proxy.tls', ...tls })
  return { cert: pem('proxy.tls.cert', tls.cert), key: pem('proxy.tls.key', tls.key), http2: tls.http2 }
}

/**
 * The origins, with the authorities that verify them.
 * @throws Error that names the file.
 */
export function originConfigs(origins: Config['origins']): Record<string, OriginConfig> {
  return Object.fromEntries(Object.entries(origins).map(([name, { tls, ...origin }]) => {
    if (tls === undefined) return [name, origin]
    const { ca, ...rest } = tls
    requireSound({ path: `origins.${name}.tls`, cert: undefined, key: undefined, ca })
    return [name, { ...origin, tls: ca === undefined ? rest : { ...rest, ca: pem(`origins.${name}.tls.ca`, ca) } }]
  }))
}

/**
 * The TLS settings for Redis. undefined: the URLs decide, with the public authorities.
 * @throws Error that names what is wrong with which file.
 */
export function redisTls({ tls }: RedisConfig): RedisTls | undefined {
  if (tls === undefined) return undefined
  const { ca, cert, key, ...rest } = tls
  // ioredis would not retry after a connection that cannot be started.
  requireSound({ path: 'redis.tls', ca, cert, key })
  const files = {
    ...(ca !== undefined && { ca: pem('redis.tls.ca', ca) }),
    ...(cert !== undefined && { cert: pem('redis.tls.cert', cert) }),
    ...(key !== undefined && { key: pem('redis.tls.key', key) }),
  }
  return { ...files, ...rest }
}

/** Checks files that may have changed since the configuration was loaded. */
function requireSound(settings: PemSettings): void {
  const [problem] = pemProblems(settings)
  if (problem !== undefined) throw new Error(problemLine(problem))
}

function pem(path: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`${path}: cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause: error })
  }
}
