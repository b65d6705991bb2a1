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
 * The origins, with the authorities that verify them and the certificates for them.
 * @throws Error that names the file.
 */
export function originConfigs(origins: Config['origins']): Record<string, OriginConfig> {
  return Object.fromEntries(Object.entries(origins).map(([name, { tls, ...origin }]) => {
    if (tls === undefined) return [name, origin]
    const { ca, cert, key, ...rest } = tls
    const path = `origins.${name}.tls`
    requireSound({ path, cert, key, ca })
    return [name, { ...origin, tls: { ...rest, ...pemsOf(path, { ca, cert, key }) } }]
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
  return { ...pemsOf('redis.tls', { ca, cert, key }), ...rest }
}

function pemsOf(path: string, files: { readonly [name in 'ca' | 'cert' | 'key']: string | undefined }): { ca?: string; cert?: string; key?: string } {
  return Object.fromEntries(Object.entries(files).flatMap(([name, file]) => (file === undefined ? [] : [[name, pem(`${path}.${name}`, file)]])))
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
