// Probes of identity providers: which of their tokens identify a request, and when their keys are read.
import { providerKey, signToken, startIdentityProvider, type IdentityProvider } from '../../session/identity-provider.ts'
import { obedient, seen } from '../../session/support.ts'
import { each, type Options, type Probe, type Settings, type Under } from './probe.ts'

const minute = 60_000
const [ec, rsa] = [providerKey('ES256', 'ec'), providerKey('RS256', 'rsa')]

const claimsAt = ({ manual }: Under, more: object = {}): object => ({ iss: 'issuer', aud: 'api', sub: 'ann', exp: Math.floor(manual.now() / 1000) + 3600, org: 'acme', ...more })

/** The user that the origin receives for a token. */
async function userOf(house: Under, text: string): Promise<unknown> {
  return seen(await house.get('/', { 'Authorization': `Bearer ${text}`, 'X-Cc': 'no-store' })).claims?.['sub'] ?? null
}

type Look = (house: Under, idp: IdentityProvider) => unknown

/** Observes a proxy that takes the tokens of a provider. */
const of = (values: Options['values'], expected: Options['values'], see: Look, others: Settings = {}): Probe => async (t, path) => {
  const idp = await startIdentityProvider(ec, rsa)
  t.teardown(() => idp.close())
  const settings = { 'auth.jwt': [{ name: 'idp', issuer: 'issuer', audience: ['api'], jwks: idp.url }], 'routes[].identity.sources': ['idp'], ...others }
  return each({ values, expected, origin: obedient(), with: settings, see: house => see(house, idp) })(t, path)
}

const user: Look = house => userOf(house, signToken(ec, claimsAt(house)))

/** The requests for the key set after some time, and a token with an unknown key. */
const fetchesAfter = (ms: number): Look => async (house, idp) => {
  house.manual.advance(ms)
  const before = idp.fetches
  await userOf(house, signToken(ec, claimsAt(house), { kid: 'unknown' }))
  return idp.fetches - before
}

export const auth: Readonly<Record<string, Probe>> = {
  'auth.jwt[].name': of(['idp', 'other'], ['ann', 'refused'], user),
  'auth.jwt[].issuer': of(['issuer', 'other'], ['ann', null], user),
  'auth.jwt[].audience': of([['x', 'api'], ['x']], ['ann', null], user),
  'auth.jwt[].jwks': async (t, path) => {
    const [idp, strange] = [await startIdentityProvider(ec), await startIdentityProvider(providerKey('ES256', 'ec'))]
    t.teardown(() => Promise.all([idp.close(), strange.close()]))
    return of([idp.url, strange.url], ['ann', null], user)(t, path)
  },
  'auth.jwt[].algorithms': of([['ES256'], ['RS256']], ['ann', null], user),
  'auth.jwt[].claims': of([{}, { user: 'org' }], ['ann', 'acme'], user),
  // 0s: the clocks must agree.
  'auth.jwt[].leeway': of(['0s', '1m'], [null, 'ann'], house => userOf(house, signToken(ec, claimsAt(house, { exp: Math.floor(house.manual.now() / 1000) - 1 })))),
  // A token that was not seen before waits for keys that are twice as old.
  'auth.jwt[].refresh': of(['1m', '1h'], [1, 0], async (house, idp) => {
    const before = idp.fetches
    house.manual.advance(6 * minute)
    await userOf(house, signToken(ec, claimsAt(house)))
    return idp.fetches - before
  }),
  'auth.jwt[].cooldown': of(['1s', '2m'], [1, 0], fetchesAfter(minute)),
  // 0s: keys that cannot be read anew count no longer than `refresh`.
  'auth.jwt[].keepStale': of(['0s', '1h'], [null, 'ann'], async (house, idp) => {
    idp.respond((_request, response) => response.writeHead(500).end())
    house.manual.advance(15 * minute)
    const seenThen = await userOf(house, signToken(ec, claimsAt(house)))
    idp.publish(ec, rsa)
    return seenThen
  }),
}
