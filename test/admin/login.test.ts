// Logins of browsers at the admin listener: the cookie, its end, and the requests that a foreign page could make it carry.
import tap, { type Test } from 'tap'
import type { AdminToken } from '../../src/admin/token.ts'
import { listen, purger, reader, type Answer, type Listener } from './support.ts'

const hour = 3_600_000

interface Site extends Listener {
  /** Milliseconds since the epoch, as the listener reads them. */
  nowMs: number
  /** The tokens of the listener, to be changed in place. */
  readonly tokens: AdminToken[]
}

async function site(t: Test): Promise<Site> {
  const tokens: AdminToken[] = [{ name: 'dash.board ö', token: reader, scopes: ['read'] }, { name: 'deploy', token: purger, scopes: ['read', 'purge'] }]
  const state = { nowMs: 1_000_000, tokens }
  const listener = await listen(t, () => ({ tokens, clock: { now: () => state.nowMs, monotonic: () => state.nowMs } }))
  return Object.assign(state, listener)
}

const logIn = (house: Listener, token: string, headers: Record<string, string> = {}): Promise<Answer> => house.ask('/v1/login', { token: null, body: { token }, headers })

/** The cookie of a response, as a browser sends it back. */
function cookieOf(answer: Answer): string {
  return answer.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}

tap.test('a login gives a cookie that no script can read and no other site sends', async (t) => {
  const house = await site(t)
  const answer = await logIn(house, purger)
  t.equal(answer.status, 200)
  t.match(answer.json(), { name: 'deploy', scopes: ['read', 'purge'], expiresMs: house.nowMs + hour, csrf: /^[\w-]{43}$/ })
  t.match(answer.headers['set-cookie'], [/^springhouse_admin=[\w-]+\.\d+\.[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/])
  t.notMatch(JSON.stringify([answer.headers, answer.text]), purger, 'the token is not in the response')
  const cookie = cookieOf(answer)
  const asked = await house.ask('/v1/stats', { token: null, headers: { cookie: `a=b; ${cookie} ;c=d` } })
  t.equal(asked.status, 200)
  t.same((await house.ask('/v1/login', { token: null, headers: { cookie } })).json(), answer.json())
  t.same((await house.ask('/v1/login', { token: reader })).json(), { name: 'dash.board ö', scopes: ['read'], expiresMs: null, csrf: null })
  t.match((await logIn(house, purger, { host: 'localhost', origin: 'https://localhost' })).headers['set-cookie'], [/; Secure$/])
})

// The guards: the comparison with `this.make` in LoginCookies.read, `expiresMs <= nowMs`, `values.length > 1`.
tap.test('a cookie that is changed, ended, doubled or of a removed token is refused, and taken back', async (t) => {
  const house = await site(t)
  const cookie = cookieOf(await logIn(house, purger))
  const [name = '', expiry = '', mac = ''] = cookie.replace('springhouse_admin=', '').split('.')
  const other = cookieOf(await logIn(house, reader)).split('=')[1]?.split('.') ?? []
  const forged = [
    `springhouse_admin=${name}.${Number(expiry) + 1}.${mac}`,
    `springhouse_admin=${other[0]}.${expiry}.${mac}`,
    `springhouse_admin=${name}.${expiry}.${mac.slice(0, -2)}AA`,
    `springhouse_admin=${name}.${expiry}.`,
    `springhouse_admin=${name}.${expiry}`,
    `springhouse_admin=${name}..${mac}`,
    `springhouse_admin=${purger}`,
    `${cookie}; ${cookie}`,
    `springhouse_admin="${name}.${expiry}.${mac}"`,
    `Springhouse_Admin=${name}.${expiry}.${mac}`,
  ]
  for (const each of forged) t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: each } })).status, 401, each)
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie } })).status, 200)
  house.nowMs += hour
  const ended = await house.ask('/v1/stats', { token: null, headers: { cookie } })
  t.equal(ended.status, 401)
  t.match(ended.headers['set-cookie'], [/^springhouse_admin=; Path=\/; Max-Age=0;/])
  const again = cookieOf(await logIn(house, purger))
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: again } })).status, 200)
  house.tokens.splice(0, 2, { name: 'deploy', token: 'another-token-with-its-name', scopes: ['read'] })
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: again } })).status, 401, 'a replaced token ends its logins')
  house.tokens.length = 0
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: again } })).status, 401)
})

tap.test('every replica takes the cookie of another, and a change of scopes shows at once', async (t) => {
  const [one, two] = [await site(t), await site(t)]
  const cookie = cookieOf(await logIn(one, purger))
  const { csrf } = (await two.ask('/v1/login', { token: null, headers: { cookie } })).json()
  const purge = (): Promise<Answer> => two.ask('/v1/purge', { token: null, body: { all: true }, headers: { cookie, 'x-csrf-token': String(csrf) } })
  t.equal((await purge()).status, 200)
  two.tokens.splice(0, 2, { name: 'deploy', token: purger, scopes: ['read'] })
  t.match((await purge()).json(), { status: 403, code: 'FORBIDDEN', scope: 'purge' })
})

// The guards: both refusals of refuseForeign in admin/auth.ts.
tap.test('a request by cookie needs the CSRF token of its login, unless it changes nothing', async (t) => {
  const house = await site(t)
  const answer = await logIn(house, purger)
  const cookie = cookieOf(answer)
  const csrf = String(answer.json()['csrf'])
  const ask = (headers: Record<string, string>): Promise<Answer> => house.ask('/v1/purge', { token: null, body: { all: true }, headers: { cookie, ...headers } })
  house.nowMs++
  const others = (await logIn(house, purger)).json()['csrf']
  for (const token of ['', 'x', csrf.slice(0, -1), `${csrf}x`, String(others)]) t.match((await ask({ 'x-csrf-token': token })).json(), { status: 403, code: 'CSRF_REFUSED' }, token)
  t.match((await ask({})).json(), { status: 403, code: 'CSRF_REFUSED' })
  t.equal(house.parts.purgeLog.recent(1).length, 0)
  t.equal((await ask({ 'x-csrf-token': csrf, origin: 'http://127.0.0.1:1' })).json()['code'], 'FOREIGN_ORIGIN', 'another port is another origin')
  t.equal((await ask({ 'x-csrf-token': csrf, origin: `http://127.0.0.1:${house.port}` })).status, 200)
  t.equal((await ask({ 'x-csrf-token': csrf })).status, 200)
  for (const from of ['same-site', 'cross-site']) {
    t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie, 'sec-fetch-site': from } })).json()['code'], 'FOREIGN_ORIGIN', 'cookies ignore ports')
  }
  for (const from of ['same-origin', 'none']) t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie, 'sec-fetch-site': from } })).status, 200)
  const bearer = await house.ask('/v1/purge', { token: purger, body: { all: true }, headers: { cookie, 'sec-fetch-site': 'same-site' } })
  t.equal(bearer.status, 200, 'a bearer token counts before a cookie, and no page can add one')
})

tap.test('a logout takes the cookie back, and needs the CSRF token too', async (t) => {
  const house = await site(t)
  const answer = await logIn(house, reader)
  const cookie = cookieOf(answer)
  t.equal((await house.ask('/v1/login', { token: null, method: 'DELETE', headers: { cookie } })).status, 403)
  const out = await house.ask('/v1/login', { token: null, method: 'DELETE', headers: { cookie, 'x-csrf-token': String(answer.json()['csrf']) } })
  t.equal(out.status, 204)
  t.match(out.headers['set-cookie'], [/^springhouse_admin=; Path=\/; Max-Age=0; HttpOnly; SameSite=Strict$/])
})

// The guards: `#logins.waitOf` in logIn, and in #byCookie for the forged cookies, of which each is a guess.
tap.test('ten failed logins from an address in a minute, and its logins get 429; bearer tokens go on', async (t) => {
  const house = await site(t)
  const cookie = cookieOf(await logIn(house, reader))
  for (let i = 0; i < 5; i++) t.match((await logIn(house, `guess-${i}`)).json(), { status: 401, code: 'UNAUTHENTICATED' })
  const later = house.nowMs + hour
  for (let i = 0; i < 5; i++) {
    const forged = `springhouse_admin=${Buffer.from('deploy').toString('base64url')}.${later}.${'A'.repeat(42)}${i}`
    t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: forged } })).status, 401)
  }
  house.nowMs += 15_000
  const refused = await logIn(house, purger)
  t.match([refused.status, refused.headers['retry-after'], refused.json()], [429, '45', { code: 'ADMIN_THROTTLED' }], 'also with a right token')
  const unseen = `springhouse_admin=${Buffer.from('deploy').toString('base64url')}.${later}.${'B'.repeat(43)}`
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie: unseen } })).status, 429)
  t.equal((await house.ask('/v1/stats', { token: null, headers: { cookie } })).status, 200, 'who is logged in stays so')
  t.equal((await house.ask('/v1/stats', { token: purger })).status, 200)
  t.equal((await house.ask('/v1/stats', { token: 'wrong-bearer' })).status, 401, 'not slowed')
  house.nowMs += 45_000
  t.equal((await logIn(house, purger)).status, 200)
})

tap.test('a login takes one token, as JSON, from its own page', async (t) => {
  const { ask, logged } = await site(t)
  for (const body of [{}, { token: '' }, { token: 7 }, { token: null }, { token: 'x'.repeat(1_025) }, { token: 'x', name: 'y' }, [], 'x']) {
    t.match((await ask('/v1/login', { token: null, method: 'POST', body })).json(), { status: 400, errors: [{}] }, JSON.stringify(body))
  }
  t.equal((await ask('/v1/login', { token: null, method: 'POST', body: { token: 'x'.repeat(5_000) } })).status, 413)
  t.equal((await ask('/v1/login', { token: null, method: 'POST', raw: `token=${reader}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 415,
    'no form of another site')
  t.equal((await ask('/v1/login', { token: null, method: 'POST', body: { token: reader }, headers: { origin: 'https://evil.example' } })).status, 403)
  t.equal((await ask('/v1/login', { token: null })).status, 401)
  t.match((await ask('/v1/login', { token: null, method: 'PUT', body: {} })).headers.allow, 'DELETE, GET, HEAD, POST')
  t.notMatch(JSON.stringify(logged), reader)
})
