// Probes of sessions: what clients and backends receive, and what is refused.
import { generateKeyPairSync } from 'node:crypto'
import type { Test } from 'tap'
import { eventually } from '../../support/log.ts'
import { detail } from '../../support/proxy.ts'
import { obedient, seen, streaming, Visitor, type Claims } from '../../session/support.ts'
import { each, raced, type Options, type Probe, type Settings, type Under } from './probe.ts'
import { startRespRecorder } from './resp-recorder.ts'

const on: Settings = { 'sessions.enabled': true }
const minute = 60_000

type Look = (visitor: Visitor, house: Under) => Promise<unknown>

/** Observes a visitor of a proxy with sessions. */
const of = (values: Options['values'], expected: Options['values'], see: Look, others: Settings = {}): Probe =>
  each({ values, expected, origin: obedient(), with: { ...on, ...others }, see: (house) => see(new Visitor(house.port), house) })

/** Observes the line that sets the cookie. */
const cookie = (values: Options['values'], part: RegExp, expected: Options['values'], others: Settings = {}): Probe =>
  of(values, expected, async (visitor) => part.exec((await visitor.do({ login: 'ann' })).header('set-cookie') ?? '')?.[0], others)

/** Logs in, lets time pass, and checks whether the session is still there. */
const lasts = (ms: number, login: object = {}, steps = 1): Look => async (visitor, { manual }) => {
  await visitor.do({ login: 'ann', ...login })
  for (let i = 0; i < steps; i++) {
    manual.advance(ms / steps)
    await visitor.claims()
  }
  return await visitor.claims() !== null
}

const header = async (visitor: Visitor): Promise<{ kid?: string; alg?: string }> => {
  await visitor.do({ login: 'ann' })
  const field = seen(await visitor.send('/', { 'X-Cc': 'no-store' })).headers['springhouse-session'] ?? ''
  return JSON.parse(Buffer.from(field.split('.')[0] ?? '', 'base64url').toString()) as { kid?: string; alg?: string }
}

const pem = (kind: 'ed25519' | 'P-256'): string =>
  (kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** Observes the signature under one key, with files that hold what a key may be. */
const key =
  (make: (file: (name: string) => string) => readonly [unknown, unknown], at: (value: unknown) => Settings, see: Look, expected: Options['values']): Probe => async (t: Test) => {
    const folder = t.testdir({ ed: pem('ed25519'), ed2: pem('ed25519'), ec: pem('P-256'), hs: 'a secret of at least thirty-two bytes', short: 'short' })
    const values = make((name) => `${folder}/${name}`)
    const list = values.map((value) => [at(value)]) as unknown as readonly [unknown, unknown]
    return each({ values: list, expected, origin: obedient(), with: on, see: (house) => see(new Visitor(house.port), house) })(t, 'sessions.keys')
  }

const secret = 'a secret of at least thirty-two bytes'

const facets: Settings = { 'routes[].key.facets': ['tenant'] }

const twoTenants = async (visitor: Visitor, house: Under): Promise<unknown> => {
  const other = new Visitor(house.port)
  await visitor.do({ login: 'ann', data: { tenant: 'a' } })
  await other.do({ login: 'bob', data: { tenant: 'a' } })
  await visitor.send('/page')
  return detail(await other.send('/page'))
}

export const sessions: Readonly<Record<string, Probe>> = {
  'sessions.enabled': each({ values: [false, true], origin: obedient(), expected: [404, 200], see: async (house) => {
    const answer = await house.get('/.well-known/springhouse/jwks.json', { 'X-Status': '404' })
    return answer.status
  } }),
  'sessions.redis.url': async (t, path) => {
    const servers = [await startRespRecorder(t), await startRespRecorder(t)] as const
    return each({
      values: servers.map(({ port }) => `redis://127.0.0.1:${port}`) as unknown as readonly [string, string],
      with: { ...on, 'sessions.redis.connectTimeoutMs': '50ms', 'sessions.redis.commandTimeoutMs': '50ms' },
      expected: [[true, false], [true, true]],
      see: async ({ index }) => {
        await eventually(() => (servers[index]?.commands.length ?? 0) > 0)
        return servers.map(({ commands }) => commands.length > 0)
      },
    })(t, path)
  },
  'sessions.cookie.name': cookie(['__Host-session', 'sid'], /^[^=]+/, ['__Host-session', 'sid']),
  'sessions.cookie.sameSite': cookie(['lax', 'strict'], /SameSite=\w+/, ['SameSite=Lax', 'SameSite=Strict']),
  'sessions.cookie.secure': cookie([true, false], /Secure/, ['Secure', undefined], { 'sessions.cookie.name': 'sid' }),
  'sessions.cookie.domain': cookie([undefined, 'example.com'], /Domain=[^;]+/, [undefined, 'Domain=example.com'], { 'sessions.cookie.name': 'sid' }),
  'sessions.cookie.partitioned': cookie([false, true], /Partitioned/, [undefined, 'Partitioned']),
  'sessions.idle': of(['10m', '1h'], [false, true], lasts(30 * minute)),
  'sessions.absolute': of(['1h', '5h'], [false, true], lasts(120 * minute, {}, 10)),
  'sessions.remember.idle': of(['10m', '1h'], [false, true], lasts(30 * minute, { remember: true })),
  'sessions.remember.absolute': of(['1h', '5h'], [false, true], lasts(120 * minute, { remember: true }, 10), { 'sessions.remember.idle': '1h' }),
  // 0s: the first use of the new token ends the time of the old one.
  'sessions.rotationGrace': of(['0s', '1m'], [null, 'ann'], async (visitor, house) => {
    await visitor.do({ login: 'ann' })
    const old = visitor.cookie
    await visitor.do({ rotate: true })
    await visitor.claims()
    house.manual.advance(1000)
    const claims: Claims | null = await new Visitor(house.port, old).claims()
    return claims === null ? null : claims['sub']
  }),
  'sessions.maxBytes': of(['256', '4KiB'], [502, 200], async (visitor) => (await visitor.do({ data: { a: 'x'.repeat(500) } })).status),
  'sessions.perUser.max': of([1, 2], [false, true], async (visitor, house) => {
    await visitor.do({ login: 'ann' })
    await new Visitor(house.port).do({ login: 'ann' })
    return await visitor.claims() !== null
  }),
  'sessions.perUser.over': of(['oldest', 'refuse'], [200, 429], async (visitor, house) => {
    await visitor.do({ login: 'ann' })
    return (await new Visitor(house.port).do({ login: 'ann' })).status
  }, { 'sessions.perUser.max': 1 }),
  // 0: no limit.
  'sessions.anonymousPerMinute': of([0, 1], [200, 429], async (visitor, house) => {
    await visitor.do({ data: { a: 1 } })
    return (await new Visitor(house.port).do({ data: { a: 1 } })).status
  }),
  'sessions.issuer': of(['springhouse', 'house'], ['springhouse', 'house'], async (visitor) => {
    await visitor.do({ login: 'ann' })
    return (await visitor.claims())?.['iss']
  }),
  'sessions.headerTtl': of(['1m', '2m'], [60, 120], async (visitor) => {
    await visitor.do({ login: 'ann' })
    const claims = await visitor.claims()
    return Number(claims?.['exp']) - Number(claims?.['iat'])
  }),
  'sessions.keys[].id': key(() => ['a', 'b'], (id) => ({ id, alg: 'HS256', secret }), async (visitor) => (await header(visitor)).kid, ['a', 'b']),
  'sessions.keys[].alg': key((file) => [['EdDSA', file('ed')], ['ES256', file('ec')]], (value) => ({ id: 'k', alg: (value as string[])[0], keyFile: (value as string[])[1] }),
    async (visitor) => (await header(visitor)).alg, ['EdDSA', 'ES256']),
  'sessions.keys[].keyFile': key((file) => [file('ed'), file('absent')], (keyFile) => ({ id: 'k', alg: 'EdDSA', keyFile }), async (visitor) => (await header(visitor)).alg, [
    'EdDSA',
    'refused',
  ]),
  'sessions.keys[].secret': key(() => [secret, 'short'], (text) => ({ id: 'k', alg: 'HS256', secret: text }), async (visitor) => (await header(visitor)).alg, ['HS256', 'refused']),
  'sessions.keys[].secretFile': key((file) => [file('hs'), file('short')], (secretFile) => ({ id: 'k', alg: 'HS256', secretFile }), async (visitor) => (await header(visitor)).alg,
    ['HS256', 'refused']),
  'sessions.headers': of([{}, { 'x-user': 'user' }], [undefined, 'ann'], async (visitor) => {
    await visitor.do({ login: 'ann' })
    return seen(await visitor.send('/', { 'X-Cc': 'no-store' })).headers['x-user']
  }),
  'sessions.csrf.mode': of(['enforce', 'report'], [403, 200], async (visitor) => (await visitor.do('{}', '/', { Origin: 'https://a.example' })).status),
  'sessions.csrf.trustedOrigins': of([[], ['https://a.example']], [403, 200], async (visitor) => (await visitor.do('{}', '/', { Origin: 'https://a.example' })).status),
  'sessions.streams.recheck': raced({
    values: ['1h', '100ms'],
    origin: streaming,
    with: { ...on, 'sessions.idle': '1s', 'sessions.absolute': '1s' },
    ends: 'cut',
    see: async (house) => {
      const visitor = new Visitor(house.port)
      await visitor.do({ login: 'ann' })
      return (await visitor.send('/events')).complete ? 'whole' : 'cut'
    },
  }),
  'sessions.memory.maxBytes': of(['64KiB', '1MiB'], [503, 200], async (visitor, house) => {
    for (let i = 0; i < 12; i++) await new Visitor(house.port).do({ data: { a: 'x'.repeat(4000) } })
    return (await visitor.do({ data: { a: 'x'.repeat(4000) } })).status
  }),
  'routes[].key.facets': of([[], ['tenant']], ['identity', 'fresh'], twoTenants),
  'routes[].identity.sources': of([[], ['session']], [null, 'ann'], async (visitor) => {
    await visitor.do({ login: 'ann' }, '/other')
    return seen(await visitor.send('/', { 'X-Cc': 'no-store' })).claims?.['sub'] ?? null
  }),
  'routes[].identity.required': of([false, true], [200, 401], async (visitor) => (await visitor.send('/')).status),
  'routes[].identity.forward': of(['facets', 'all'], ['fresh', 'authorization'], twoTenants, facets),
  'routes[].identity.login': of(['unsafe', 'any'], [502, 200], async (visitor) => (await visitor.send('/', { 'X-Do': '{"login":"ann"}' })).status),
  'routes[].identity.trouble': of(['refuse', 'anonymous'], [503, 200], async (visitor) => (await visitor.send('/', { Cookie: `__Host-session=shs1${'a'.repeat(65)}` })).status, {
    'sessions.redis.url': 'redis://127.0.0.1:1',
    'sessions.redis.connectTimeoutMs': '50ms',
    'sessions.redis.commandTimeoutMs': '50ms',
    'sessions.keys': [{ id: 'k', alg: 'HS256', secret }],
  }),
  'routes[].identity.realm': of(['default', 'other'], ['ann', undefined], async (visitor) => {
    await visitor.do({ login: 'ann' }, '/second')
    return (await visitor.claims('/'))?.['sub']
  }, { 'routes': [{ match: { path: '/second' }, origin: 'api' }, { match: {}, origin: 'api' }] }),
}
