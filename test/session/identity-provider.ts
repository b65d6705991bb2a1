// An identity provider on a socket: it publishes its keys, and signs whatever a test wants, right or wrong.
import { Buffer } from 'node:buffer'
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

export interface ProviderKey {
  readonly kid: string | undefined
  readonly alg: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** Makes a key pair. @param bits the length of an RSA modulus */
export function providerKey(alg: Algorithm, kid?: string, bits = 2048): ProviderKey {
  const pair = alg === 'EdDSA'
    ? generateKeyPairSync('ed25519')
    : alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: bits })
  return { kid, alg, ...pair }
}

/** The key as its provider publishes it. */
export function publicJwk({ kid, alg, publicKey }: ProviderKey): Record<string, unknown> {
  return { ...publicKey.export({ format: 'jwk' }), ...(kid !== undefined && { kid }), alg, use: 'sig' }
}

/** Signs a token. `header` members replace those that belong to the key; `undefined` removes one. */
export function signToken(key: ProviderKey, claims: object | string, header: Readonly<Record<string, unknown>> = {}): string {
  const head = encoded({ alg: key.alg, ...(key.kid !== undefined && { kid: key.kid }), typ: 'at+jwt', ...header })
  const input = `${head}.${typeof claims === 'string' ? Buffer.from(claims).toString('base64url') : encoded(claims)}`
  return `${input}.${signature(key, Buffer.from(input)).toString('base64url')}`
}

function signature({ alg, privateKey }: ProviderKey, input: Buffer): Buffer {
  if (alg === 'EdDSA') return sign(null, input, privateKey)
  if (alg === 'ES256') return sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return alg === 'RS256' ? sign('sha256', input, privateKey) : sign('sha256', input, { key: privateKey, padding: 6, saltLength: 32 })
}

/** Signs with a secret, as an attack does that uses a public key as one. */
export function hmacToken(secret: string | Buffer, claims: object, header: Readonly<Record<string, unknown>> = {}): string {
  const input = `${encoded({ alg: 'HS256', ...header })}.${encoded(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

export interface IdentityProvider {
  readonly url: string
  /** Requests for the key set so far. */
  fetches: number
  /** Responds with these keys. */
  publish(...keys: (ProviderKey | Readonly<Record<string, unknown>>)[]): void
  /** Responds in this way from now on. */
  respond(handler: (request: IncomingMessage, response: ServerResponse) => void): void
  close(): Promise<void>
}

export async function startIdentityProvider(...keys: ProviderKey[]): Promise<IdentityProvider> {
  let handler: (request: IncomingMessage, response: ServerResponse) => void
  const server = createServer((request, response) => {
    provider.fetches++
    handler(request, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const provider: IdentityProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    fetches: 0,
    publish(...published) {
      const text = JSON.stringify({ keys: published.map(key => ('privateKey' in key ? publicJwk(key as ProviderKey) : key)) })
      handler = (_request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(text)
    },
    respond(next) {
      handler = next
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  provider.publish(...keys)
  return provider
}
