// Responses that speak of one request: other clients do not get them.
import t from 'tap'
import { story } from './site.ts'

const minute = { 'cache-control': 'max-age=60' }

// RFC 6585 §3 to §6. The guard: neverStored in policy/storable.ts.
for (const status of [428, 429, 431, 511]) {
  t.test(`${status} with max-age is not stored`, async test => {
    const site = await story(test, [{ status, fields: minute, body: 'slow down' }, { fields: minute, body: 'page' }])
    test.equal(site.tell(await site.get('/a')), `${status} slow down status`)
    test.equal(site.tell(await site.get('/a')), '200 page uri-miss')
  })
}

// CPDoS. The guard: judgesOneMessage in policy/storable.ts.
for (const status of [400, 408, 411, 413, 415, 417, 421, 425, 426]) {
  t.test(`${status} that one client provoked is not given to the next`, async test => {
    const site = await story(test, [{ status, fields: minute, body: 'too large' }, { fields: minute, body: 'page' }])
    test.equal((await site.get('/a', { 'X-Oversized': 'x'.repeat(4000) })).status, status)
    test.equal(site.tell(await site.get('/a')), '200 page uri-miss')
  })
}

// The guard: deniesCredentials in policy/decide.ts.
for (const status of [401, 403, 407]) {
  t.test(`a stored ${status} is not served to a request with credentials`, async test => {
    const site = await story(test, [{ status, fields: minute, body: 'who are you?' }, { fields: { 'cache-control': 'no-store' }, body: 'welcome' }])
    test.equal((await site.get('/a')).status, status)
    test.equal(site.tell(await site.get('/a')), `${status} who are you? fresh`, 'a stranger gets the same again')
    test.equal(site.tell(await site.get('/a', { Authorization: 'Bearer good' })), '200 welcome no-store')
    test.equal(site.tell(await site.get('/a', { Cookie: 'session=1' })), '200 welcome no-store')
    test.equal(site.tell(await site.get('/a')), `${status} who are you? fresh`)
  })
}

t.test('a stored 403 serves requests with the cookie of its key, and none that carries another cookie', async test => {
  const site = await story(test, [{ status: 403, fields: minute, body: 'no' }, { fields: { 'cache-control': 'no-store' }, body: 'yes' }], { cache: { cookies: { key: ['tenant'] } } })
  test.equal((await site.get('/a', { Cookie: 'tenant=a' })).status, 403)
  test.equal((await site.get('/a', { Cookie: 'tenant=a' })).status, 403)
  test.equal(site.requests.length, 1)
  test.equal((await site.get('/a', { Cookie: 'tenant=a; session=1' })).status, 200)
})

// RFC 9110 §7.8. The guard: only `websocket` sets `upgrade` in scanFields.
t.test('a client that offers h2c gets a hit', async test => {
  const site = await story(test, [{ fields: minute, body: 'page' }])
  await site.get('/a')
  const offer = { 'Connection': 'Upgrade, HTTP2-Settings', 'Upgrade': 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }
  test.equal(site.tell(await site.get('/a', offer)), '200 page fresh')
  test.equal(site.requests.length, 1)
  test.equal(site.tell(await site.get('/b', offer)), '200 page uri-miss')
  test.equal(site.lastField('upgrade'), undefined)
  test.equal(site.lastField('http2-settings'), undefined)
})
