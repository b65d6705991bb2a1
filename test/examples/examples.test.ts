// The programs of examples/, each behind the real proxy: one scene for all languages.
// Guards: the proxy removes Springhouse-… and the plain fields from requests (identity fields); each program checks signature, algorithm, type,
// issuer, audience and time. Without any of these, a forged field below names a user.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newPrivateKey, signCompact, signingKey, type SigningKey } from '../../src/session/jws.ts'
import { Visitor } from '../session/support.ts'
import { ask, type Answer } from '../support/client.ts'
import { command, commands, missing, startExample, type Place } from './example.ts'

const folder = t.testdir({})
const secret = 'a-secret-of-at-least-32-bytes-for-this-test'
const keyFile = join(folder, 'key.pem')
writeFileSync(keyFile, newPrivateKey())

const published = { key: signingKey('own', 'EdDSA', readFileSync(keyFile, 'utf8')), proxy: command('npx springhouse serve'),
  env: { SPRINGHOUSE_SESSIONS_KEYS: `[{ id: own, alg: EdDSA, keyFile: ${keyFile} }]` } }
const shared = { key: signingKey('shared', 'HS256', secret), proxy: command('SPRINGHOUSE_SESSIONS_KEYS='), env: { SESSION_SECRET: secret } }
const plain = { key: undefined, proxy: command('SPRINGHOUSE_SESSIONS_HEADERS='), env: {} }

interface Example {
  readonly name: string
  /** A command that must succeed for the example to be run. */
  readonly needs: readonly [program: string, ...args: string[]]
  readonly backend: string
  readonly path: string
  readonly way: { readonly key: SigningKey | undefined; readonly proxy: string; readonly env: Readonly<Record<string, string>> }
}

const examples: readonly Example[] = [
  { name: 'Node', needs: [process.execPath, '--version'], backend: 'node ', path: '', way: published },
  { name: 'Go', needs: ['go', 'version'], backend: 'go ', path: '', way: published },
  { name: 'Python', needs: ['python3', '-c', 'import sys; sys.exit(sys.version_info < (3, 10))'], backend: 'python3 ', path: '', way: shared },
  { name: 'PHP', needs: ['php', '--version'], backend: 'php ', path: '', way: shared },
  { name: 'shell', needs: ['busybox', 'httpd', '--help'], backend: 'busybox ', path: '/cgi-bin/shop', way: plain },
]

for (const { name, needs: [program, ...args], backend, path, way } of examples) {
  // CI installs all of them, and must run all of them.
  const lacks = missing(program, args)
  const skip = lacks !== undefined && process.env['SPRINGHOUSE_TEST_EVERY_EXAMPLE'] !== '1' ? lacks : false
  t.test(name, { skip }, async test => {
    test.equal(lacks, undefined)
    const place = await startExample(test, way.proxy, command(backend), way.env)
    await scene(test, place, path)
    if (way.key !== undefined) await forgeries(test, place, path, way.key)
  })
}

t.test('the lines to paste, with the example in Node', { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'there is no curl here' }, async test => {
  const { proxyPort } = await startExample(test, published.proxy, command('node '), published.env)
  const lines = commands.filter(line => line.startsWith('curl '))
  const cwd = test.testdir({})
  const printed = lines.map(line => execFileSync('bash', ['-c', line.replace('curl', 'curl -sS').replaceAll('8080', String(proxyPort))], { cwd, encoding: 'utf8' }))
  test.strictSame(printed, ['', '', '{"user":"zoe","basket":{"apples":2}}\n', '', '{"user":null,"basket":{}}\n'])
})

class Customer extends Visitor {
  readonly #base: string

  constructor(port: number, base: string, cookie?: string) {
    super(port, cookie)
    this.#base = base
  }

  async shown(fields: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return JSON.parse((await this.send(`${this.#base}/basket`, fields)).body.toString())
  }

  post(path: string, form: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
    return this.send(this.#base + path, type, { method: 'POST', body: new URLSearchParams(form).toString() })
  }
}

const nobody = { user: null, basket: {} }

async function scene(t: Test, { proxyPort }: Place, path: string): Promise<void> {
  const customer = new Customer(proxyPort, path)
  t.strictSame(await customer.shown(), nobody)
  t.equal(customer.cookie, undefined, 'a visitor has no session')

  const put = await customer.post('/basket', { item: 'apples', count: '2' })
  t.equal(put.status, 204)
  t.equal(put.header('springhouse-session-set'), undefined, 'the instruction does not reach the client')
  t.strictSame(await customer.shown(), { user: null, basket: { apples: 2 } }, 'a basket without a log-in')
  const anonymous = customer.cookie

  t.equal((await customer.post('/login', { user: 'zoe', password: 'open says me' })).status, 403)
  t.equal(customer.cookie, anonymous)
  t.equal((await customer.post('/login', { user: 'zoe', password: 'open sesame' })).status, 204)
  t.strictSame(await customer.shown(), { user: 'zoe', basket: { apples: 2 } }, 'the basket is kept')
  const loggedIn = customer.cookie
  t.ok(loggedIn !== undefined && loggedIn !== anonymous, 'the session id is another one')
  t.strictSame(await new Customer(proxyPort, path, anonymous).shown(), nobody, 'the one of before is worth nothing')

  const fruit = ['pears', 'plums', 'figs', 'dates']
  const puts = await Promise.all(fruit.map((item, i) => customer.post('/basket', { item, count: String(i + 1) })))
  t.same(puts.map(({ status }) => status), fruit.map(() => 204))
  await customer.post('/basket', { item: 'apples', count: '0' })
  t.strictSame(await customer.shown(), { user: 'zoe', basket: { pears: 1, plums: 2, figs: 3, dates: 4 } }, 'changes at one time lose nothing')
  t.equal((await customer.post('/basket', { item: 'apples', count: '-1' })).status, 400)
  t.equal((await customer.post('/basket')).status, 400)
  t.equal((await customer.post('/elsewhere')).status, 404)

  t.equal((await customer.post('/logout')).status, 204)
  t.equal(customer.cookie, undefined, 'the cookie is taken back')
  t.strictSame(await customer.shown(), nobody)
  t.strictSame(await new Customer(proxyPort, path, loggedIn).shown(), nobody, 'the cookie of before the log-out is worth nothing')
  t.equal((await customer.post('/logout')).status, 204, 'a log-out without a session changes nothing')

  for (const fields of [{ 'X-User': 'zoe' }, { 'X_User': 'zoe' }, { 'X-Basket': '%7B%22figs%22%3A9%7D' }, { 'X.Basket': '%7B%22figs%22%3A9%7D' }])
    t.strictSame(await customer.shown(fields), nobody, `${Object.keys(fields)} of a client`)
}

/** Fields that are not the proxy's, or not for this backend or time: to the backend directly, and through the proxy. */
async function forgeries(t: Test, { proxyPort, backendPort }: Place, path: string, key: SigningKey): Promise<void> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'springhouse', aud: 'default', iat: now, exp: now + 60, sid: 'x', ver: 1, sub: 'zoe', data: { basket: { figs: 9 } } }
  const typ = 'springhouse-session+jwt'
  const signed = (changed: object = {}, as = typ, by = key): string => signCompact(by, as, JSON.stringify({ ...claims, ...changed }))
  const direct = (field: string): Promise<Answer> => ask(backendPort, { path: `${path}/basket`, headers: ['Springhouse-Session', field] })

  const good = await direct(signed())
  t.strictSame(JSON.parse(good.body.toString()), { user: 'zoe', basket: { figs: 9 } }, 'what the proxy would send is accepted')
  t.equal((await direct(signed({ exp: now - 30, iat: now + 30 }))).status, 200, 'clocks may differ')

  const [header = '', payload = '', signature = ''] = signed().split('.')
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const other = key.alg === 'EdDSA'
    ? signingKey(key.id, 'EdDSA', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
    : signingKey(key.id, 'HS256', `${secret}.`)
  const publicText = key.alg === 'EdDSA' ? createPublicKey(readFileSync(keyFile)).export({ type: 'spki', format: 'pem' }) : secret
  const confused = `${encoded({ alg: 'HS512', kid: key.id, typ })}.${payload}`
  const misnamed = `${encoded({ alg: 'HS384', kid: key.id, typ })}.${payload}`
  const ownSignature = key.alg === 'EdDSA' ? sign(null, Buffer.from(misnamed), key.key as KeyObject) : createHmac('sha256', secret).update(misnamed).digest()
  const forged: Readonly<Record<string, string>> = {
    'no signature': `${header}.${payload}.`,
    'alg none': `${encoded({ alg: 'none', kid: key.id, typ })}.${payload}.`,
    'another user under this signature': `${header}.${encoded({ ...claims, sub: 'ann' })}.${signature}`,
    'another key': signed({}, typ, other),
    'another algorithm': `${confused}.${createHmac('sha512', publicText).update(confused).digest('base64url')}`,
    'a signature of this key under the name of another algorithm': `${misnamed}.${ownSignature.toString('base64url')}`,
    'an unknown key': signed({}, typ, { ...other, id: 'unknown' }),
    'another type': signed({}, 'JWT'),
    'another issuer': signed({ iss: 'elsewhere' }),
    'another audience': signed({ aud: 'another' }),
    'expired': signed({ exp: now - 90 }),
    'of the future': signed({ iat: now + 90 }),
    'no token': 'zoe',
    'too many parts': `${signed()}.x.y`,
  }
  for (const [what, field] of Object.entries(forged)) t.equal((await direct(field)).status, 401, what)

  const customer = new Customer(proxyPort, path)
  for (const name of ['Springhouse-Session', 'Springhouse_Session', 'springhouse.session'])
    t.strictSame(await customer.shown({ [name]: signed() }), nobody, `${name} of a client`)
}
