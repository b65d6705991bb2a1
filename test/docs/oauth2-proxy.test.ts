// docs/moving-sessions.md: a log-in by oauth2-proxy behind the proxy, with the configuration of the page. oauth2-proxy itself is not here: an origin
// that does what the page says of it stands in its place.
import { request } from 'node:http'
import t from 'tap'
import { parse } from 'yaml'
import { Visitor } from '../session/support.ts'
import { startProxy } from '../support/proxy.ts'
import { rawHeader, startOrigin } from '../support/scripted-origin.ts'
import { blocksOf, page } from './blocks.ts'

const block = blocksOf(page('docs/moving-sessions.md')).find(({ text }) => text.includes('http://oauth2-proxy:4180'))
const claimsOf = (field: string | undefined): unknown => field === undefined ? null : JSON.parse(Buffer.from(field.split('.')[1] ?? '', 'base64url').toString())

// Guards: identity.login: any on /login alone, and the removal of X-Forwarded-User from requests of clients.
t.test('a GET of /login logs in, and nothing else does', async t => {
  const api = await startOrigin((incoming, response, recorded) => {
    const user = rawHeader(recorded.rawHeaders, 'x-forwarded-user')
    // A fault of the backend: it believes the field everywhere.
    if (user !== undefined) response.setHeader('Springhouse-Session-Set', JSON.stringify({ login: user })).writeHead(303, { Location: '/' })
    response.end(JSON.stringify({ user: user ?? null, claims: claimsOf(incoming.headers['springhouse-session'] as string | undefined) }))
  })
  // Somebody has logged in at the provider: the request is forwarded to the backend, with the user.
  const signIn = await startOrigin((incoming, response) => {
    const sent = request(`${api.url}${incoming.url}`, { headers: { ...incoming.headers, 'x-forwarded-user': 'zoe@example.com' } }, (from) => {
      response.writeHead(from.statusCode ?? 502, from.rawHeaders)
      from.pipe(response)
    })
    sent.end()
  })
  t.teardown(() => Promise.all([api.close(), signIn.close()]).then(() => undefined))
  const text = (block?.text ?? '').replace('http://oauth2-proxy:4180', signIn.url).replace('http://api:3000', api.url)
  const house = await startProxy(t, { origin: api, config: parse(text) as Record<string, unknown> })

  const visitor = new Visitor(house.port)
  const before = await visitor.send('/')
  t.match(JSON.parse(before.body.toString()), { user: null, claims: null })
  const forged = await visitor.send('/', { 'X-Forwarded-User': 'ann@example.com' })
  t.match(JSON.parse(forged.body.toString()), { user: null }, 'a client cannot name a user')
  t.equal(visitor.cookie, undefined)

  t.equal((await visitor.send('/login')).status, 303)
  t.ok(visitor.cookie)
  t.match(JSON.parse((await visitor.send('/')).body.toString()), { user: null, claims: { sub: 'zoe@example.com', aud: 'api' } })
  t.equal((await new Visitor(house.port).send('/oauth2/other')).status, 502, 'an instruction of a route without sessions is refused')
  t.equal((await new Visitor(house.port).send('/login/other')).header('set-cookie'), undefined)
})
