// The public keys of a provider (RFC 7517): those that may verify signatures, by the algorithms that the configuration permits.
import type { CryptoKey } from 'jose'
import type { Jose } from './jose.ts'

/** Bounds of a key set. A larger one is not read. */
export const mostKeySetBytes = 262_144
const mostKeys = 100
// Between them lie all that providers use. A huge modulus or exponent would make each verification slow.
const [leastModulusBytes, mostModulusBytes, mostExponentBytes] = [256, 1024, 4]
/** Keys that are tried for a token without `kid`. */
const mostTried = 4

/** A key of a set. It is imported for each algorithm when a token first needs it. */
interface PublicKey {
  readonly kid: string | undefined
  readonly algorithms: readonly string[]
  readonly jwk: Readonly<Record<string, unknown>>
  readonly imported: Map<string, Promise<CryptoKey>>
}

/** The keys of a provider at one time. */
export class PublicKeys {
  readonly #jose: Jose
  readonly #keys: readonly PublicKey[]

  constructor(jose: Jose, keys: readonly PublicKey[]) {
    this.#jose = jose
    this.#keys = keys
  }

  get size(): number {
    return this.#keys.length
  }

  /** The keys that may have signed a token: with its `kid`, or all of them if it has none. [] if there is none for this algorithm. */
  matching(alg: string, kid: string | undefined): Promise<CryptoKey>[] {
    return this.#keys.filter(key => (kid === undefined || key.kid === kid) && key.algorithms.includes(alg)).slice(0, mostTried).map(key => this.#import(key, alg))
  }

  #import({ jwk, imported }: PublicKey, alg: string): Promise<CryptoKey> {
    const known = imported.get(alg)
    if (known !== undefined) return known
    // Safe: only a secret key would be bytes, and none is in the set.
    const key = this.#jose.importJWK(jwk, alg) as Promise<CryptoKey>
    // A key that cannot be imported fails the tokens that need it, and nothing else.
    key.catch(() => undefined)
    imported.set(alg, key)
    return key
  }
}

/**
 * Reads a key set. Keys of no use for these algorithms are left out, as RFC 7517 §5 says. A secret key never counts (RFC 8725 §2.1).
 * @throws Error that says why the text is no key set
 */
export function readKeySet(jose: Jose, text: string, algorithms: readonly string[]): PublicKeys {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('is not JSON')
  }
  const keys: unknown = (value as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) throw new Error('is no key set: it has no list named keys')
  if (keys.length > mostKeys) throw new Error(`has more than ${mostKeys} keys`)
  return new PublicKeys(jose, keys.flatMap((key: unknown) => keyOf(key, algorithms)))
}

function keyOf(given: unknown, permitted: readonly string[]): PublicKey[] {
  if (typeof given !== 'object' || given === null) return []
  const jwk = given as Readonly<Record<string, unknown>>
  const { kid, alg, use, key_ops: operations } = jwk
  if (kid !== undefined && typeof kid !== 'string') return []
  if (use !== undefined && use !== 'sig') return []
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return []
  const { members, algorithms: able } = abilityOf(jwk)
  const algorithms = able.filter(name => permitted.includes(name) && (alg === undefined || alg === name))
  // The public members alone: neither a private part, nor a certificate or its address, is ever used.
  return algorithms.length === 0 ? [] : [{ kid, algorithms, jwk: Object.fromEntries(members.map(name => [name, jwk[name]])), imported: new Map() }]
}

const curves: Readonly<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }
const unable = { members: [], algorithms: [] }

/** Returns the members that make a key, and the algorithms that it is able to verify (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
function abilityOf(jwk: Readonly<Record<string, unknown>>): { readonly members: readonly string[]; readonly algorithms: readonly string[] } {
  switch (jwk['kty']) {
    case 'RSA': {
      const [modulus, exponent] = [bytesOf(jwk['n']), bytesOf(jwk['e'])]
      if (modulus < leastModulusBytes || modulus > mostModulusBytes || exponent < 1 || exponent > mostExponentBytes) return unable
      return { members: ['kty', 'n', 'e'], algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] }
    }
    case 'EC': {
      const algorithm = Object.hasOwn(curves, String(jwk['crv'])) ? curves[String(jwk['crv'])] : undefined
      return algorithm === undefined ? unable : { members: ['kty', 'crv', 'x', 'y'], algorithms: [algorithm] }
    }
    case 'OKP':
      return jwk['crv'] === 'Ed25519' ? { members: ['kty', 'crv', 'x'], algorithms: ['EdDSA', 'Ed25519'] } : unable
    default:
      return unable
  }
}

function bytesOf(text: unknown): number {
  return typeof text === 'string' ? Buffer.from(text, 'base64url').length : 0
}
