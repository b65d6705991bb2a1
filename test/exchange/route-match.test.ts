// Which route a request takes, and when its origin may read another route in the path.
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { matchRoute } from '../../src/exchange/routing/match.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'

type Match = { readonly host?: string; readonly path?: string; readonly exact?: string }

/** The route that a request takes: its origin, with a `?` where it is ambiguous. */
function routing(...matches: readonly Match[]): (target: string, authority?: string) => string | undefined {
  const origins = Object.fromEntries(matches.map((_, i) => [`o${i}`, { servers: ['http://127.0.0.1:1'] }]))
  const routes = compileRoutes(resolveConfig({ origins, routes: matches.map((match, i) => ({ match, origin: `o${i}` })) }))
  return (target, authority = 'api.example') => {
    const route = matchRoute(routes, authority, target)
    return route && `${route.origin}${route.rules.ambiguous ? '?' : ''}`
  }
}

t.test('a plain path takes the first route that matches', async t => {
  const take = routing({ path: '/account' }, { path: '/v1/' }, {})
  for (const [target, route] of [
    ['/account', 'o0'],
    ['/account/settings.html?x=%61', 'o0'],
    ['/account/', 'o0'],
    ['/account?x', 'o0'],
    ['/accounts', 'o2'],
    ['/account-x/y', 'o2'],
    ['/v1/a', 'o1'],
    ['/v1', 'o1'],
    ['/v1?a', 'o1'],
    ['/v1/', 'o1'],
    ['/v', 'o2'],
    ['/v12', 'o2'],
    ['/', 'o2'],
    ['/x/account', 'o2'],
    ['/?/account', 'o2'],
    ['/x?//account', 'o2'],
  ] as const) t.equal(take(target), route, target)
  t.equal(routing({ path: '/v1/' })('/'), undefined)
})

// Fails without `normalPath` in readOddPath.
t.test('paths match in normal form', async t => {
  const take = routing({ path: '/caf\u00e9' }, { path: '/%61ccount' }, { path: '/~me/./a' }, {})
  for (const target of ['/caf%C3%A9', '/caf%c3%a9/x', '/caf\u00c3\u00a9']) t.equal(take(target), 'o0', target)
  t.equal(take('/account'), 'o1')
  t.equal(take('/~me/a'), 'o2')
  // The same URL, but an origin that compares bytes takes it for another: not cached.
  for (const target of ['/%61ccount', '/%61%63count/x', '/./account', '/%2e/account', '/a%63count?x']) t.equal(take(target), 'o1?', target)
  t.equal(take('/%7Eme/a'), 'o2?')
})

const spellings: readonly string[] = [
  '//account',
  '///account',
  '/%2Faccount',
  '/%2faccount',
  '/\\account',
  '/%5Caccount',
  '/%5caccount',
  '//host/account',
  '/\\host/account',
  '/%2fhost%2faccount',
  '/%2561ccount',
  '/%25252561ccount',
  '/%%361ccount',
  '/%256%31ccount',
  '/a%00ccount',
  '/%20account',
  '/%09account',
  '/%E3%80%80account',
  '/account%EF%BC%8Fx',
  '/;x/account',
  '/;/account',
  '/;x=1;y/account',
  '/%3bx/account',
  '/.;x/account',
  '/;%2fx/account',
  '/./;/account',
  '/Account',
  '/ACCOUNT/x',
  '/%41ccount',
  '/%EF%BD%81ccount',
  '/%u0061ccount',
  '/%c0%afaccount',
  '/%C1%A1ccount',
  '/x/%252e%252e/account',
  '/x/%25252e./account',
  '/x%252f..%252faccount',
  '/x/..%00/account',
]

// Fails without `mayBegin` in matchRoute; for the spellings that climb, without `undefined` from plainestForms.
t.test('a path that an origin may read as one of an earlier route is ambiguous', async t => {
  const take = routing({ path: '/account' }, {})
  for (const target of spellings) t.match(take(target), /\?$|^o0/, target)
  t.match(take('/account%2f%2e%252e'), /\?$/)
  const deeper = routing({ path: '/account/settings' }, {})
  for (const target of ['/account%2Fsettings', '/account;x/settings', '/account//settings', '/account./settings', '/account%20/settings', '/account/./settings',
    '/account\\settings', '/account/Settings', '/account%00/settings', '/account/%73ettings', '/account%252fsettings']) {
    t.match(deeper(target), /\?$/, target)
  }
})

t.test('a last slash in the path of a route does not matter', async t => {
  const without = routing({ path: '/account' }, {})
  const withSlash = routing({ path: '/account/' }, {})
  for (const target of ['/account', '/account?x', '/account/', '/account/?x', '/account/x', '/account/x//y', '/account/x;y=1', '/account/%20', '/account/Settings',
    '/account/x.']) {
    for (const take of [without, withSlash]) t.equal(take(target), 'o0', target)
  }
  for (const target of ['/accounts', '/accoun', '/account-x?y', '/x/account', '/x?/account']) t.equal(withSlash(target), 'o1', target)
})

// Fails without `mayTake`, and where origins read a parameter, without `extentIn`.
t.test('a path that some origin ends where the path of a route ends is ambiguous', async t => {
  const take = routing({ path: '/account' }, {})
  for (const target of ['/account;x=1', '/account;jsessionid=1/settings', '/account%3Bx']) t.equal(take(target), 'o0?', target)
  for (const target of ['/account%20', '/account%00', '/account%2fx', '/account%5cx', '/account%3fx', '/account%23x', '/account%253f/x', '/account.', '/account\\x', '/account%2f',
    '/Account;x', '/%2561ccount/x'])
    t.equal(take(target), 'o1?', target)
  t.equal(routing({ path: '/account' })('/account%2fx'), undefined)
})

// Fails without `differsByLastSlash`; for the odd spellings, without `mayTake`.
t.test('an exact path is the whole path', async t => {
  const take = routing({ exact: '/account' }, { exact: '/' }, { exact: '/list/' }, {})
  for (const [target, route] of [
    ['/account', 'o0'],
    ['/account?x=/y', 'o0'],
    ['/%61ccount', 'o0?'],
    ['/account;x', 'o0?'],
    ['/account/', 'o3?'],
    ['/Account', 'o3?'],
    ['/Account/', 'o3?'],
    ['/account/x', 'o3'],
    ['/account;x/y', 'o3'],
    ['/account%20', 'o3?'],
    ['//account', 'o3?'],
    ['/account%2f', 'o3?'],
    ['/accounts', 'o3'],
    ['/', 'o1'],
    ['/?x', 'o1'],
    ['/;x', 'o1?'],
    ['//', 'o3?'],
    ['/list/', 'o2'],
    ['/list', 'o3?'],
    ['/list?x', 'o3?'],
    ['/list/x', 'o3'],
    ['/lists', 'o3'],
  ] as const) t.equal(take(target), route, target)
  const both = routing({ exact: '/a' }, { exact: '/A' }, {})
  t.same(['/a', '/A', '/a/', '/b'].map(target => both(target)), ['o0', 'o1', 'o2?', 'o2'], 'routes that differ by case')
})

// Fails without the comparison of the path as it was spelt.
t.test('a path that an origin may read out of its route is ambiguous', async t => {
  const take = routing({ path: '/public/' }, {})
  for (const target of ['/%70ublic/x', '/./public/x', '/public/%2e%252e/x', '/public/%252e%252e/account', '/public/..%00/account', '/public%2Fx', '/public;x/y', '/Public/x'])
    t.match(take(target), /\?$/, target)
  for (const target of ['/public/x;y', '/public', '/public/%20', '/public//x', '/public/caf%c3%a9', '/public/a%2fb', '/public/A', '/public/x.']) t.equal(take(target), 'o0', target)
})

t.test('an odd path that leads to no other route is not ambiguous', async t => {
  const take = routing({ path: '/account' }, {})
  for (const target of ['/caf%C3%A9/men%C3%BC', '/a%20b', '/a;v=1/b', '/x//y', '/x/account', '/x%2Faccount', '/Users/1', '/%7Eme', '/a%2fb?c',
    '/\u6d4b\u8bd5'.replace(/[^/]/g, char => [...Buffer.from(char)].map(byte => `%${byte.toString(16)}`).join(''))]) {
    t.equal(take(target), 'o1', target)
  }
  const only = routing({})
  for (const target of [...spellings, '/100%', '/a/%252e%252e/b']) t.equal(only(target), 'o0', target)
})

t.test('case is ignored by some origins, unless routes differ by it', async t => {
  const take = routing({ path: '/API/' }, {})
  t.equal(take('/API/x'), 'o0')
  t.equal(take('/api/x'), 'o1?')
  t.equal(take('/a%70i/x'), 'o1?')
  const both = routing({ path: '/a/' }, { path: '/A/' }, {})
  t.same(['/a/x', '/A/x', '/b', '/A/%20', '/a', '/A'].map(target => both(target)), ['o0', 'o1', 'o2', 'o1', 'o0', 'o1'])
})

t.test('a host matches at any port, and with the dot of its root, but then its responses are not stored', async t => {
  const take = routing({ host: 'api.example', path: '/account' }, { host: '*.example', path: '/v1' }, { host: '0:0:0:0:0:0:0:1' }, {})
  for (const [authority, target, route] of [
    ['api.example', '/account', 'o0'],
    ['api.example:8080', '/account', 'o0'],
    ['api.example.', '/account', 'o0?'],
    ['api.example.:8080', '/account', 'o0?'],
    ['api.example.', '/x', 'o3?'],
    ['other.test.', '/x', 'o3'],
    ['other.test.', '/account', 'o3'],
    ['apiXexample', '/account', 'o3'],
    ['xapi.example', '/account', 'o3'],
    ['a.example', '/v1', 'o1'],
    ['a.b.example:81', '/v1', 'o1'],
    ['a.b.c.example', '/v1/x', 'o1'],
    ['a.example.', '/v1', 'o1?'],
    ['example', '/v1', 'o3'],
    ['a.example.org', '/v1', 'o3'],
    ['[::1]', '/', 'o2'],
    ['[::1]:8080', '/', 'o2'],
    ['[::2]', '/', 'o3'],
  ] as const) t.equal(take(target, authority), route, `${authority}${target}`)
})

t.test('the host of a route is written in any case, with a final dot, or beyond ASCII', async t => {
  const take = routing({ host: 'API.Example.' }, { host: '*.Shop.Example.' }, { host: 'bücher.example' })
  t.same(['api.example', 'a.shop.example', 'xn--bcher-kva.example', 'shop.example'].map(authority => take('/', authority)), ['o0', 'o1', 'o2', undefined])
})
