// Tokens, and the signed field: node:crypto signs, and an independent check with Web Crypto verifies.
import { createPrivateKey, generateKeyPairSync, webcrypto, type JsonWebKey } from 'node:crypto'
import t from 'tap'
import { keySet, newPrivateKey, signCompact, signingKey, type SigningKey } from '../../src/session/jws.ts'
import { newToken, readToken } from '../../src/session/token.ts'

const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const secret = 'a secret of at least 32 bytes, in text'
const keys: readonly SigningKey[] = [signingKey('ed', 'EdDSA', newPrivateKey()), signingKey('ec', 'ES256', p256), signingKey('hs', 'HS256', secret)]
const payload = '{"sub":"zoë","n":9007199254740993}'

async function verifies(token: string, jwk: JsonWebKey & { alg?: string } | undefined): Promise<boolean> {
  const [header = '', body = '', signature = ''] = token.split('.')
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg: string }
  const how = { EdDSA: { name: 'Ed25519' }, ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }, HS256: { name: 'HMAC', hash: 'SHA-256' } }[alg] as webcrypto.Algorithm
  const key = jwk === undefined
    ? await webcrypto.subtle.importKey('raw', Buffer.from(secret), how, false, ['verify'])
    : await webcrypto.subtle.importKey('jwk', { ...jwk, alg: jwk.alg === 'EdDSA' ? undefined : jwk.alg } as webcrypto.JsonWebKey, how, false, ['verify'])
  return webcrypto.subtle.verify(how, key, Buffer.from(signature, 'base64url'), Buffer.from(`${header}.${body}`))
}

t.test('each algorithm signs what its public key verifies, and HS256 is never published', async t => {
  const { keys: published } = JSON.parse(keySet(keys)) as { keys: (JsonWebKey & { kid: string; d?: string; k?: string })[] }
  t.same(published.map(({ kid }) => kid), ['ed', 'ec'])
  t.ok(published.every(key => key.d === undefined && key.k === undefined), 'no private part')
  for (const key of keys) {
    const token = signCompact(key, 'springhouse-session+jwt', payload)
    const [header = '', body = ''] = token.split('.')
    t.same(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: key.alg, kid: key.id, typ: 'springhouse-session+jwt' })
    t.equal(Buffer.from(body, 'base64url').toString(), payload)
    const jwk = published.find(({ kid }) => kid === key.id)
    t.equal(await verifies(token, jwk), true, key.alg)
    t.equal(await verifies(token.replace(/\.[^.]*\./, `.${Buffer.from('{}').toString('base64url')}.`), jwk), false, `${key.alg}: another payload`)
  }
})

t.test('a key of another kind is refused without being quoted', async t => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  for (const [alg, pem] of [['EdDSA', p256], ['ES256', newPrivateKey()], ['EdDSA', rsa], ['ES256', 'no key']] as const) {
    t.throws(() => signingKey('k', alg, pem), /is no/)
    try {
      signingKey('k', alg, pem)
    } catch (error) {
      t.notMatch((error as Error).message, pem.slice(30, 60))
    }
  }
  t.equal(createPrivateKey(newPrivateKey()).asymmetricKeyType, 'ed25519')
})

t.test('a token finds its session by id, and proves itself by the digest of its text', async t => {
  const token = newToken()
  t.match(token.text, /^shs1[\w-]{65}$/)
  t.same(readToken(token.text), { sid: token.sid, digest: token.digest })
  t.notMatch(`${token.sid}${token.digest}`, token.text.slice(26), 'neither holds the secret')
  const next = newToken(token.sid)
  t.equal(next.sid, token.sid)
  t.not(next.digest, token.digest)
  for (const text of ['', 'shs1', token.text.slice(1), `${token.text}a`, ` ${token.text}`, `"${token.text}"`, token.text.replace(/.$/, '='),
    token.text.toUpperCase().replace('SHS1', 'shs2')])
    t.equal(readToken(text), undefined, text)
})
