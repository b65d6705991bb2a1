// Compact JWS (RFC 7515) over node:crypto: the field to backends, and the public keys that verify it (RFC 7517, RFC 8037).
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'

// A library would add a promise and a third to the cost of each signature. Signing needs three algorithms and no parser.

export type SigningAlgorithm = 'EdDSA' | 'ES256' | 'HS256'

/** A key that signs. */
export interface SigningKey {
  readonly id: string
  readonly alg: SigningAlgorithm
  /** A private key, or for HS256 the bytes of the secret's text. */
  readonly key: KeyObject | Buffer
}

/**
 * Reads a key from the configuration: PEM (PKCS #8) for EdDSA (Ed25519) and ES256 (P-256), any text for HS256.
 * @throws Error that says what the key is not, and never quotes it
 */
export function signingKey(id: string, alg: SigningAlgorithm, secret: string): SigningKey {
  if (alg === 'HS256') return { id, alg, key: Buffer.from(secret) }
  let key: KeyObject
  try {
    key = createPrivateKey(secret)
  } catch {
    throw new Error('is no private key in PEM')
  }
  const isFit = alg === 'EdDSA' ? key.asymmetricKeyType === 'ed25519' : key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
  if (!isFit) throw new Error(`is no ${alg === 'EdDSA' ? 'Ed25519' : 'P-256'} key, which ${alg} needs`)
  return { id, alg, key }
}

/** Makes an Ed25519 key, as PEM. */
export function newPrivateKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** Signs a payload. @param typ the `typ` of the header (RFC 8725 §3.11) */
export function signCompact({ id, alg, key }: SigningKey, typ: string, payload: string): string {
  const header = Buffer.from(JSON.stringify({ alg, kid: id, typ })).toString('base64url')
  const input = `${header}.${Buffer.from(payload).toString('base64url')}`
  return `${input}.${signature(alg, key, Buffer.from(input)).toString('base64url')}`
}

function signature(alg: SigningAlgorithm, key: KeyObject | Buffer, input: Buffer): Buffer {
  if (alg === 'HS256') return createHmac('sha256', key as Buffer).update(input).digest()
  if (alg === 'EdDSA') return sign(null, input, key as KeyObject)
  // RFC 7518 §3.4: both numbers, one after the other, not in DER.
  return sign('sha256', input, { key: key as KeyObject, dsaEncoding: 'ieee-p1363' })
}

/** Returns the key set as JSON text. A key of HS256 is a secret, and is never in it. */
export function keySet(keys: readonly SigningKey[]): string {
  const shown = keys.filter(({ alg }) => alg !== 'HS256').map(({ id, alg, key }) => ({
    ...createPublicKey(key as KeyObject).export({ format: 'jwk' }),
    kid: id,
    alg,
    use: 'sig',
  }))
  return JSON.stringify({ keys: shown })
}
