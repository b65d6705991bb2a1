// A log-in, a basket and a log-out behind Springhouse, in Node without a package. The process keeps no state: start as many as you like.
import { createPublicKey, verify } from 'node:crypto'
import { createServer } from 'node:http'

const port = Number(process.env.PORT ?? 3000)
const keysUrl = process.env.SESSION_KEYS_URL ?? 'http://127.0.0.1:8080/.well-known/springhouse/jwks.json'
/** The name of this origin in Springhouse's configuration: `default` if it was started with --origin. */
const audience = process.env.SESSION_AUDIENCE ?? 'default'
/** Clocks may differ by so many seconds. */
const skew = 60

let keys = Promise.resolve(new Map())
let fetchedAt = -Infinity

/** Returns a public key of the proxy. Made-up ids cause one fetch in ten seconds; a failed fetch leaves the known keys. */
async function keyOf(kid) {
  const known = await keys
  const age = performance.now() - fetchedAt
  if (age > 300_000 || (age > 10_000 && !known.has(kid))) {
    fetchedAt = performance.now()
    keys = fetchKeys().catch(() => known)
  }
  return (await keys).get(kid)
}

async function fetchKeys() {
  const response = await fetch(keysUrl, { signal: AbortSignal.timeout(2000) })
  if (!response.ok) throw new Error(`the keys cannot be fetched: ${response.status}`)
  const set = await response.json()
  return new Map(set.keys.map(key => [key.kid, createPublicKey({ key, format: 'jwk' })]))
}

/** Returns the claims of the request's session, or {} without one. Throws if the field is not from the proxy. */
async function sessionOf(request) {
  const field = request.headers['springhouse-session']
  if (field === undefined) return {}
  const [header = '', payload = '', signature = '', ...more] = field.split('.')
  if (more.length > 0) throw new Error('no token')
  const { alg, kid, typ } = decoded(header)
  // The algorithm is this program's choice, never the sender's.
  if (alg !== 'EdDSA' || typ !== 'springhouse-session+jwt') throw new Error('another kind of token')
  const key = await keyOf(kid)
  const isSigned = key !== undefined && verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))
  if (!isSigned) throw new Error('not signed by the proxy')
  const claims = decoded(payload)
  const now = Date.now() / 1000
  if (claims.iss !== 'springhouse' || claims.aud !== audience) throw new Error('for another backend')
  if (claims.exp < now - skew || claims.iat > now + skew) throw new Error('too old, or too new')
  return claims
}

function decoded(part) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}

/** The instruction to the proxy. In base64, because setHeader sends what is not ASCII as Latin-1. */
function change(instruction) {
  return { 'Springhouse-Session-Set': `:${Buffer.from(JSON.stringify(instruction)).toString('base64')}:` }
}

// A real program compares the hash of a password, with scrypt or argon2.
const passwords = new Map([['zoe', 'open sesame'], ['ann', 'swordfish']])

const routes = {
  'GET /basket': session => [200, {}, { user: session.sub ?? null, basket: session.data?.basket ?? {} }],
  // A merge patch: it changes one member of the basket, whatever other requests change at the same time. null removes a member.
  'POST /basket': (session, form) => {
    const [item, count] = [form.get('item') ?? '', Number(form.get('count'))]
    if (!/^[\w -]{1,40}$/.test(item) || !Number.isInteger(count) || count < 0 || count > 99) return [400, {}, { error: 'an item, and a count to 99' }]
    return [204, change({ data: { basket: { [item]: count === 0 ? null : count } } })]
  },
  'POST /login': (session, form) => {
    const user = form.get('user') ?? ''
    if (!passwords.has(user) || passwords.get(user) !== form.get('password')) return [403, {}, { error: 'wrong user or password' }]
    return [204, change({ login: user })]
  },
  'POST /logout': () => [204, change({ logout: true })],
}

async function formOf(request) {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > 10_000) throw new Error('too long')
  }
  return new URLSearchParams(text)
}

async function respond(request) {
  const handler = routes[`${request.method} ${request.url.split('?', 1)[0]}`]
  if (handler === undefined) return [404, {}, { error: 'not found' }]
  let session, form
  try {
    session = await sessionOf(request)
  } catch {
    return [401, {}, { error: 'this session is not from the proxy' }]
  }
  try {
    form = await formOf(request)
  } catch {
    return [400, {}, { error: 'no form' }]
  }
  return handler(session, form)
}

const server = createServer(async (request, response) => {
  const [status, fields, value] = await respond(request)
  const body = value === undefined ? '' : `${JSON.stringify(value)}\n`
  response.writeHead(status, { ...fields, 'Cache-Control': 'no-store', ...(value !== undefined && { 'Content-Type': 'application/json' }) }).end(body)
})
// Longer than the proxy keeps idle connections, so that it never sends a request on one that is being closed.
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1')
