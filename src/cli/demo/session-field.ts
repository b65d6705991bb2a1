// How the demo's servers check the field Springhouse-Session: with the public keys of the proxy, as docs/sessions.md describes.
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import type { Clock } from '../../clock.ts'

/** The claims that the demo uses. */
export interface DemoSession {
  readonly ver: number
  readonly sub?: string
  readonly data: { readonly basket?: Readonly<Record<string, number>> }
}

/** Returns the session of a field. @throws Error if the field is not from the proxy */
export type ReadSession = (field: string) => Promise<DemoSession>

export interface ReaderOptions {
  /** Where the proxy publishes its keys; undefined if it is not known (yet). */
  readonly keysUrl: () => string | undefined
  /** The name of the origin in the configuration of the proxy. */
  readonly audience: string
  readonly clock: Clock
}

interface Claims extends DemoSession {
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
}

/** Clocks may differ by so many seconds. */
const skew = 60
/** Keys are fetched again for an unknown id, but not more often than this. */
const cooldownMs = 10_000
/** The proxy gives its keys this lifetime. */
const lifetimeMs = 300_000

/** Returns a reader that keeps the keys. */
export function sessionReader({ keysUrl, audience, clock }: ReaderOptions): ReadSession {
  let keys: Promise<ReadonlyMap<string, KeyObject>> = Promise.resolve(new Map())
  let fetchedAt = -Infinity

  const keyOf = async (id: string): Promise<KeyObject | undefined> => {
    const known = await keys
    const age = clock.monotonic() - fetchedAt
    const url = keysUrl()
    if (url !== undefined && (age > lifetimeMs || (age > cooldownMs && !known.has(id)))) {
      fetchedAt = clock.monotonic()
      keys = fetchKeys(url).catch(() => known)
    }
    return (await keys).get(id)
  }

  return async (field) => {
    const [header = '', payload = '', signature = '', ...more] = field.split('.')
    const { alg, kid, typ } = decoded(header) as Readonly<Record<string, string>>
    if (more.length > 0 || alg !== 'EdDSA' || typ !== 'springhouse-session+jwt') throw new Error('another kind of token')
    const key = await keyOf(kid ?? '')
    if (key === undefined || !verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))) throw new Error('not signed by the proxy')
    const claims = decoded(payload) as Claims
    const now = clock.now() / 1000
    if (claims.iss !== 'springhouse' || claims.aud !== audience) throw new Error('for another backend')
    if (claims.exp < now - skew || claims.iat > now + skew) throw new Error('too old, or too new')
    return claims
  }
}

async function fetchKeys(url: string): Promise<ReadonlyMap<string, KeyObject>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
  if (!response.ok) throw new Error(`the keys cannot be fetched: ${response.status}`)
  const { keys } = (await response.json()) as { keys: readonly { kid: string }[] }
  return new Map(keys.map((key) => [key.kid, createPublicKey({ key, format: 'jwk' })]))
}

function decoded(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
