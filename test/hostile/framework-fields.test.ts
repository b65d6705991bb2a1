// Fields by which a framework's own layers speak to one another: refused from clients, or part of the key. docs/security.md has the advisories.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { steeringPrefixes } from '../../src/forwarding/untrusted-fields.ts'
import { keyedFields } from '../../src/policy/keyed-fields.ts'
import { ask, type Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** An application that obeys everything it is sent. */
const mirror: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600', ...(request.method === 'POST' && { 'Content-Location': request.url }) })
  response.end(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}`)
}

function send(house: TestProxy, path: string, fields: readonly string[], method = 'GET'): Promise<Answer> {
  return ask(house.port, { path, method, headers: ['Host', 'h', ...fields] })
}

const refused: readonly string[] = [
  'X-React-Router-SPA-Mode',
  'X-React-Router-Prerender-Data',
  'X-React-Router-Anything',
  'X-Middleware-Subrequest',
  'X-Middleware-Prefetch',
  'X-Middleware-Rewrite',
  'X-Middleware-Set-Cookie',
  'X-Middleware-Request-X',
  'X-Invoke-Status',
  'X-Invoke-Path',
  'X-Invoke-Error',
  'X-Prerender-Revalidate',
  'X-Prerender-Revalidate-If-Generated',
  'X-Prerender-Bypass-Mode',
  'X-Now-Route-Matches',
  'X-Matched-Path',
  'X-Next-Revalidated-Tags',
  'X-Next-Revalidate-Tag-Token',
  'X-Next-Cache-Tags',
  'Next-Resume',
  'X-Astro-Path',
  'X-Astro-Locals',
  'X-Astro-Middleware-Secret',
  'X-Nuxt-No-SSR',
  'X-Nuxt-Error',
  'X-Envoy-Original-Path',
  'X-Envoy-Original-Host',
  'X-Envoy-Original-Method',
  'X-Envoy-External-Address',
  'X-Envoy-Internal',
  'X-Envoy-Upstream-RQ-Timeout-Ms',
  'X-Envoy-Peer-Metadata',
  'X-Vercel-IP-Country',
  'X-Vercel-Forwarded-For',
  'X-Vercel-Isr',
  'CloudFront-Forwarded-Proto',
  'CF-Visitor',
  'X-Sendfile-Type',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-HTTP-Method-Override',
  'X-Forwarded-Prefix',
  // Other spellings of keyed fields.
  'X_Nextjs_Data',
  'x.nextjs.data',
  'Next_Router_State_Tree',
  'next_url',
  'X_SvelteKit_Pathname',
]

// The guards are `steeringPrefixes` and `steeringFields` in forwarding/untrusted-fields.ts.
t.test('a field internal to a framework reaches no origin from a client, however it is written', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  let number = 0
  for (const name of refused) {
    for (const written of new Set([name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.'), name.replace('-', '_')])) {
      const path = `/refused/${++number}`
      for (const lines of [[written, 'evil'], [written, 'evil', 'Connection', written]]) await send(house, path, lines)
      tap.notMatch(String((await send(house, path, [])).body), /evil/, written)
      tap.notMatch(String((await send(house, `${path}/posted`, [written, 'evil'], 'POST')).body), /evil/, `${written}, posted`)
    }
  }
  for (const prefix of steeringPrefixes) tap.ok(refused.some(name => name.toLowerCase().startsWith(prefix)), `${prefix} is tried`)
})

t.test('a trusted proxy may send such a field, and it is in the key; but not a field that names the sender of this hop', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } } })
  for (const name of ['X-Middleware-Rewrite', 'X-React-Router-SPA-Mode', 'X-Envoy-Original-Path', 'X-Vercel-IP-Country', 'X-Envoy-External-Address', 'X_Nextjs_Data']) {
    tap.match(String((await send(house, `/${name}`, [name, 'odd'])).body), /odd/)
    tap.notMatch(String((await send(house, `/${name}`, [])).body), /odd/, name)
  }
  tap.match(String((await send(house, '/1', ['X-Envoy-External-Address', '1.2.3.4'])).body), /1\.2\.3\.4/)
  tap.equal(detail(await send(house, '/1', ['X-Envoy-External-Address', '5.6.7.8'])), 'fresh', 'an address is not in the key')
  tap.notMatch(String((await send(house, '/2', ['X-Envoy-Peer-Metadata-Id', 'gateway-1', 'X-Envoy-Downstream-Service-Node', 'gateway-1'])).body), /gateway-1/)
  tap.equal(detail(await send(house, '/2', ['X-Envoy-Peer-Metadata-Id', 'gateway-2'])), 'fresh')
})

// The guard is `keyedFields`, in policy/request.ts (the key) and in forwarding/connection-options.ts (Connection).
t.test('a field that browsers send for another form of a page is in the key, and reaches the origin', async tap => {
  const route = { match: {}, origin: 'api' }
  for (const requestHeaders of ['all', 'strict']) {
    const house = await startProxy(tap, { origin: mirror, config: { routes: [{ ...route, requestHeaders }] } })
    for (const name of keyedFields) {
      const path = `/${requestHeaders}/${name}`
      const ways: readonly (readonly string[])[] = [[name, '1'], [name.toUpperCase(), '2'], [], [name, ''], [name, '1', name, '2'], [name, '2', name, '1'], [name, `1 ${name}1:2`]]
      for (const lines of ways) {
        for (const connection of [[], ['Connection', name]]) {
          const { body } = await send(house, path, [...lines, ...connection])
          const seen = String(body).split('\n').filter((_, i, all) => all[i - 1]?.toLowerCase() === name)
          tap.same(seen, lines.filter((_, i) => i % 2 === 1), `${requestHeaders}: ${[...lines, ...connection].join()}`)
        }
        tap.equal(detail(await send(house, path, lines)), 'fresh')
        tap.equal(detail(await send(house, path, lines, 'HEAD')), 'fresh')
      }
    }
  }
})

t.test('the response to a POST is stored for requests with the same fields', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  await send(house, '/posted', ['x-nextjs-data', '1'], 'POST')
  tap.notMatch(String((await send(house, '/posted', [])).body), /nextjs/)
  tap.equal(detail(await send(house, '/posted', ['x-nextjs-data', '1'])), 'fresh')
})

t.test('explain has the same key', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  await send(house, '/explained', ['RSC', '1', 'Next-Url', '/a'])
  const explain = async (headers: object): Promise<{ decision: { reason: string }; unkeyed: string[] }> =>
    JSON.parse(String((await house.admin('/v1/explain', { url: 'http://h/explained', headers })).body)) as { decision: { reason: string }; unkeyed: string[] }
  tap.match(await explain({ 'rsc': '1', 'next-url': '/a' }), { decision: { reason: 'fresh' }, unkeyed: [] })
  tap.match(await explain({ 'rsc': '1' }), { decision: { reason: 'uri-miss' } })
  tap.match(await explain({}), { decision: { reason: 'uri-miss' } })
})

// The guard is `keyedSpellings` in exchange/routed-request.ts and, for POST, `forwardsAll` in exchange/pass/pass.ts.
t.test('another spelling of a field that the route keys does not pass for that field', async tap => {
  for (const keyed of ['X-Tenant', 'x_tenant']) {
    const house = await startProxy(tap, { origin: mirror, config: { routes: [{ match: {}, origin: 'api', key: { headers: [keyed] } }] } })
    for (const [i, written] of ['X_Tenant', 'x.tenant', 'X-Tenant'].entries()) {
      if (written.toLowerCase() === keyed.toLowerCase()) continue
      await send(house, `/${i}`, [written, 'evil'])
      tap.notMatch(String((await send(house, `/${i}`, [])).body), /evil/, written)
      await send(house, `/${i}`, [written, 'evil'], 'POST')
      tap.notMatch(String((await send(house, `/${i}`, [])).body), /evil/, `${written}, posted`)
    }
    tap.match(String((await send(house, '/own', [keyed, 'mine'])).body), /mine/)
    tap.notMatch(String((await send(house, '/own', [])).body), /mine/)
  }
})

t.test('docs/security.md names each of them, and why', async tap => {
  const page = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8').toLowerCase()
  const table = page.slice(page.indexOf('## fields of frameworks'), page.indexOf('## what to set'))
  for (const prefix of steeringPrefixes) tap.match(table, `\`${prefix.replace(/-?$/, '-*')}\``, prefix)
  for (const name of keyedFields) tap.match(table, `\`${name}\``, name)
})
