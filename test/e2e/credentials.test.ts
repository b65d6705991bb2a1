// Credentials decide which clients may share a response: RFC 9111 §3.5, and a route's rules for cookies.
import t from 'tap'
import { detail, startProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** An origin that names the credentials of the request, with these directives. */
const who = (control: string): OriginHandler => (request, response) => {
  response.writeHead(200, { 'Cache-Control': control }).end(`${request.headers.authorization ?? ''}${request.headers.cookie ?? ''}` || 'nobody')
}

for (const control of ['public, max-age=60', 'must-revalidate, max-age=60', 's-maxage=60']) {
  for (const credential of ['Authorization', 'Cookie']) {
    t.test(`${control}: the response to ${credential} is for all, and the origin received the credentials`, async t => {
      const house = await startProxy(t, { origin: who(control) })
      t.equal((await house.get('/a', { [credential]: 'ann' })).body.toString(), 'ann')
      for (const headers of [{ [credential]: 'bob' }, {}]) {
        const hit = await house.get('/a', headers)
        t.equal(detail(hit), 'fresh')
        t.equal(hit.body.toString(), 'ann')
      }
    })
  }
}

for (const control of ['max-age=60', 'proxy-revalidate, max-age=60', 's-maxage=x, max-age=60', 's-maxage="60"', 'public=yes, max-age=60', 'immutable, max-age=60',
  'max-age=60, must-revalidate=1', 'max-age=60, must-revalidate="a"', 'must-revalidate, must-revalidate=, max-age=60']) {
  for (const credential of ['Authorization', 'Cookie']) {
    t.test(`${control}: the response to ${credential} is for that client alone`, async t => {
      const house = await startProxy(t, { origin: who(control) })
      t.equal(detail(await house.get('/a', { [credential]: 'ann' })), credential.toLowerCase())
      t.equal((await house.get('/a', { [credential]: 'bob' })).body.toString(), 'bob')
      t.equal((await house.get('/a')).body.toString(), 'nobody')
    })
  }
}

t.test('must-revalidate shares it while it is fresh, and not a moment longer', async t => {
  const house = await startProxy(t, { origin: who('must-revalidate, max-age=60') })
  await house.get('/a', { Authorization: 'ann' })
  house.clock.advance(60_000)
  t.equal((await house.get('/a', { Authorization: 'bob' })).body.toString(), 'bob')
})

t.test('cookies: ignore: a cookie is no reason, and Authorization still is', async t => {
  const house = await startProxy(t, { origin: who('max-age=60'), cache: { cookies: 'ignore' } })
  await house.get('/a', { Cookie: 'ann' })
  t.equal((await house.get('/a', { Cookie: 'bob' })).body.toString(), 'ann')
  t.equal(detail(await house.get('/b', { Cookie: 'ann', Authorization: 'x' })), 'authorization')
})

t.test('cookies: key: those that are named part the entries, others do not reach the origin', async t => {
  const house = await startProxy(t, { origin: who('max-age=60'), key: { cookies: ['tenant', 'tier'] } })
  await house.get('/a', { Cookie: 'tenant=1; sid=ann' })
  const same = await house.get('/a', { Cookie: 'sid=bob; tenant=1' })
  t.equal(detail(same), 'fresh')
  t.equal(same.body.toString(), 'tenant=1')
  for (const cookie of ['tenant=2', 'tenant=1; tier=x', 'tenant=1; tenant=2', 'tenant=', 'Tenant=1']) {
    t.equal(detail(await house.get('/a', { Cookie: cookie })), 'uri-miss', cookie)
    t.equal(detail(await house.get('/a', { Cookie: `${cookie}; x=y` })), 'fresh', cookie)
  }
  t.equal(detail(await house.get('/a')), 'fresh', 'no cookie and none of the named ones are the same')
})
