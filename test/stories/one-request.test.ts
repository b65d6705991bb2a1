// Responses that speak of one request: other clients do not get them.
import t from 'tap'
import { eventually } from '../support/log.ts'
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

const judging = [400, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426]

// CPDoS. The guard: judgesOneMessage in policy/storable.ts.
for (const status of judging) {
  t.test(`${status} that one client provoked is not given to the next`, async test => {
    const site = await story(test, [{ status, fields: minute, body: 'too large' }, { fields: minute, body: 'page' }])
    test.equal((await site.get('/a', { 'X-Oversized': 'x'.repeat(4000) })).status, status)
    test.equal(site.tell(await site.get('/a')), '200 page uri-miss')
  })
}

t.test('a status that judges one message is stored where ttl.status names it, for its own lifetime or the one of the setting', async test => {
  for (const status of judging) {
    const named = { cache: { ttl: { status: { [status]: '5s' } } } }
    const site = await story(test, [{ status, body: 'no' }, { fields: minute, body: 'page' }], named)
    await site.get('/a')
    site.clock.advance(4_000)
    test.equal(site.tell(await site.get('/a')), `${status} no fresh`)
    site.clock.advance(2_000)
    test.equal(site.tell(await site.get('/a')), '200 page stale')

    const itself = await story(test, [{ status, fields: minute, body: 'no' }], named)
    await itself.get('/a')
    itself.clock.advance(50_000)
    test.equal(itself.tell(await itself.get('/a')), `${status} no fresh`)
  }
})

// The guards: `isConditional` and receivedContent() in exchange/fill/response-storer.ts.
t.test('a 412 or 416 that the condition or range of a request brought is not stored, named or not', async test => {
  const cache = { ttl: { status: { 412: '1h', 416: '1h' } } }
  const validated = await story(test, [{ fields: { 'cache-control': 'max-age=1', 'etag': '"a"' }, body: 'page' }, { status: 412, body: 'no' }, { status: 304 }], { cache })
  await validated.get('/a')
  validated.clock.advance(2_000)
  test.equal((await validated.get('/a')).status, 412)
  test.equal(validated.tell(await validated.get('/a')), '200 page stale')

  const ranged = await story(test, [{ status: 416, body: 'no' }, { fields: minute, body: 'page' }], { cache })
  test.equal((await ranged.get('/a', { Range: 'bytes=9-' })).status, 416)
  test.equal(ranged.tell(await ranged.get('/a')), '200 page uri-miss')
})

t.test('a 429 neither replaces a stored page nor is stored by a refresh', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1, stale-while-revalidate=60' }, body: 'page' }, { status: 429, fields: minute, body: 'slow down' }, {
    fields: minute,
    body: 'new',
  }])
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal(site.tell(await site.get('/a')), '200 page stale-while-revalidate')
  await eventually(() => site.requests.length === 2)
  await eventually(async () => site.tell(await site.get('/a')) === '200 new fresh')
})

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
  const site = await story(test, [{ status: 403, fields: minute, body: 'no' }, { fields: { 'cache-control': 'no-store' }, body: 'yes' }], { key: { cookies: ['tenant'] } })
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
