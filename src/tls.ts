// Certificates, keys and authorities: reads the files that a configuration names.
import { readFileSync } from 'node:fs'
import { listenerPems, pemProblems, type PemSettings } from './config/certificates.ts'
import { problemLine } from './config/problem.ts'
import type { Config, RedisConfig } from './config/schema.ts'
import type { OriginConfig } from './origin/config.ts'
import type { ListenerTls, TlsFiles } from './proxy/listener/options.ts'
import type { RedisTls } from './store/redis/connect/client.ts'

/**
 * The listener's certificates and keys; undefined for a listener without TLS.
 * @throws Error that names what is wrong with which file.
 */
export function listenerTls({ tls }: Config['proxy']): ListenerTls | undefined {
  if (tls === undefined) return undefined
  const all = listenerPems(tls).map((settings): TlsFiles => {
    requireSound(settings)
    // Safe: a sound pair has both.
    return { cert: pem(`${settings.path}.cert`, settings.cert as string), key: pem(`${settings.path}.key`, settings.key as string) }
  })
  const [first] = all
  if (first === undefined) throw new Error('proxy.tls: no certificate is given')
  return { ...first, certificates: all, http2: tls.http2, minVersion: tls.minVersion }
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
