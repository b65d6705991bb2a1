// The input of explain, and its use.
import tap from 'tap'
import type { Explanation } from '../../src/exchange/explain/explanation.ts'
import { errorsOf, listen, T0 } from './support.ts'
import type { AdminParts } from '../../src/admin/parts.ts'

type Asked = Parameters<AdminParts['explain']>[0]

const explanation: Explanation = {
  url: 'http://api.example.com/v1/a',
  method: 'GET',
  route: 'api.example.com/v1/',
  key: 'api.example.com/v1/a',
  decision: { action: 'serve', reason: 'fresh', section: 'RFC 9111 §4.2', meaning: 'Fresh.', advice: 'Nothing.' },
  keyParts: [],
  steps: [],
  last: [],
  variants: [
    {
      variant: '',
      status: 200,
      freshness: 'fresh',
      ageMs: 1,
      lifetimeMs: 60_000,
      heuristic: false,
      freshUntilMs: T0,
      keepUntilMs: T0,
      tags: ['a'],
      bytes: 5,
      tier: 'memory',
      vary: [['accept-language', null]],
      verdict: 'valid',
    },
  ],
  unkeyed: [],
}

tap.test('GET explains a GET of the URL, byte for byte', async (t) => {
  const asked: Asked[] = []
  const { ask } = await listen(t, () => ({
    explain: async (request) => {
      asked.push(request)
      return explanation
    },
  }))
  const answer = await ask(`/v1/explain?url=${encodeURIComponent('http://API.example.com/a/./b?c=d&e={f}')}`)
  t.equal(answer.status, 200)
  t.same(answer.json(), explanation)
  t.same(asked, [{ url: 'http://API.example.com/a/./b?c=d&e={f}', method: 'GET', fields: [] }])
})

tap.test('POST explains any request: method and fields, several lines of one name among them', async (t) => {
  const asked: Asked[] = []
  const { ask } = await listen(t, () => ({
    explain: async (request) => {
      asked.push(request)
      return explanation
    },
  }))
  const body = { url: 'https://a/b', method: 'HEAD', headers: { 'Accept-Language': 'de', Cookie: ['a=1', ' b=2 '], __proto__: 'x' } }
  t.equal((await ask('/v1/explain', { body })).status, 200)
  t.same(asked, [{ url: 'https://a/b', method: 'HEAD', fields: ['accept-language', 'de', 'cookie', 'a=1', 'cookie', 'b=2'] }])
})

tap.test('a URL that no route matches is a 404 that says so', async (t) => {
  const { ask } = await listen(t)
  const answer = await ask('/v1/explain?url=http://nowhere.example/')
  t.equal(answer.status, 404)
  t.equal(answer.json()['code'], 'NO_ROUTE')
})

tap.test('an impossible request is refused, with every problem at once', async (t) => {
  const { ask } = await listen(t)
  t.same(errorsOf(await ask('/v1/explain')), ['url: is needed'])
  t.same(errorsOf(await ask('/v1/explain?url=')), ['url: is needed'])
  t.same(errorsOf(await ask('/v1/explain?url=/path')), ['url: must be absolute (http://host/path)'])
  t.same(errorsOf(await ask('/v1/explain?url=http://a/?x=1&y=2')), ['y: is not known here; known are "url"'])
  t.same(errorsOf(await ask('/v1/explain', { body: { uri: 'http://a/', method: 'G ET', headers: { 'x y': 'a', ok: 'a\nb', n: 1 } } })).sort(), [
    'headers.n: must be a string or an array of at most 256 strings, without line breaks',
    'headers.ok: must be a string or an array of at most 256 strings, without line breaks',
    'headers.x y: is not a field name',
    'method: must match pattern "^[!#$%&\'*+.^_`|~0-9A-Za-z-]+$"',
    'uri: is not known here; did you mean "url"?',
    'url: is needed',
  ])
  t.same(errorsOf(await ask('/v1/explain', { body: [] })), [': must be an object with "url", and may have "method", "headers", "facets" and "try"'])
})
