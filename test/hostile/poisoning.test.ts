// Bytes from one client show in no response to another, and no client receives a response fetched for another user.
import t from 'tap'
import { ask, type Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** An application that shows everything it is sent, as one that builds links from fields would. */
const mirror: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600' })
  response.end(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}`)
}

function send(house: TestProxy, path: string, fields: readonly string[], method = 'GET'): Promise<Answer> {
  return ask(house.port, { path, method, headers: fields[0]?.toLowerCase() === 'host' ? fields : ['Host', 'h', ...fields] })
}

const evil = 'evil.example'

/** Fields with which applications have been steered. Each by itself, from an untrusted client. */
const steering: readonly string[] = [
  'X-Forwarded-Host',
  'X-Forwarded-Server',
  'X-Forwarded-Scheme',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Forwarded-Ssl',
  'X-Forwarded-For',
  'X-Forwarded',
  'X-Forwarded-Path',
  'X-Forwarded-Uri',
  'X-Forwarded-Anything',
  'X-Host',
  'X-Original-Host',
  'X-HTTP-Host-Override',
  'X-Host-Override',
  'Forwarded',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Original-Uri',
  'X-HTTP-Method-Override',
  'X-HTTP-Method',
  'X-Method-Override',
  'X-Url-Scheme',
  'Front-End-Https',
  'X-Real-IP',
  'True-Client-IP',
  'Client-IP',
  'CF-Connecting-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'X-Remote-Addr',
  'X-Request-Id',
  'Proxy',
  'X-Middleware-Subrequest',
  'X-Accel-Redirect',
  'X-Script-Name',
  'X-Original-Proto',
  'X-Original-Prefix',
  'X-Original-Port',
  'X-Original-For',
  'X-Forward-Host',
  'Forwarded-Host',
  'Forwarded-Proto',
  'X-Real-Host',
  'X-Rewrite-Path',
  'X-Url',
  'Request-Uri',
  'Method-Override',
  'X-Proxy-Host',
]

t.test('fields that steer applications do not reach them, however they are written', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  let number = 0
  for (const name of steering) {
    for (const written of [name, name.toUpperCase(), name.toLowerCase(), name.replaceAll('-', '_'), name.replace('-', '_').toLowerCase(), name.replaceAll('-', '.')]) {
      for (const lines of [[written, evil], ['X-A', '1', written, evil, written, evil], [written, evil, 'Connection', written]]) {
        const path = `/steer/${++number}`
        await send(house, path, lines)
        const victim = await send(house, path, [])
        tap.notMatch(String(victim.body), /evil/, `${lines.filter(part => part !== evil).join()}`)
        const posted = await send(house, path, lines, 'POST')
        tap.notMatch(String(posted.body), /evil/, 'nor when it is passed on')
      }
    }
  }
})

t.test('a trusted proxy may send such fields', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } } })
  tap.match(String((await send(house, '/', ['X-Forwarded-Prefix', '/app'])).body), /x-forwarded-prefix\n\/app/)
})

const balanced = { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } }

t.test('a field that a trusted proxy passes on is in the key, as far as it steers', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: balanced })
  const apart: readonly (readonly [string, string, string])[] = [
    ...['X-Forwarded-Host', 'X-Forwarded-Port', 'X-Forwarded-Prefix', 'X-Forwarded-Scheme', 'X-Forwarded-Ssl', 'X-Host', 'X-Original-URL', 'X-HTTP-Method-Override'].map((
      name,
    ): [string, string, string] => [name, 'a.example', 'b.example']),
    ['X-Forwarded-Proto', 'http', 'https'],
    ['X-Forwarded-Proto', 'https, http', 'http, http'],
    ['Forwarded', 'for=1.1.1.1;host=a.example', 'for=1.1.1.1;host=b.example'],
    ['Forwarded', 'for=1.1.1.1;host="a;for=1"', 'for=1.1.1.1;host="a;for=2"'],
    ['Forwarded', 'for=1.1.1.1;proto=http', 'for=1.1.1.1;proto=https'],
    ['X-Forwarded-A', '1 7:x-host3:abc', '1'],
  ]
  for (const [number, [name, one, other]] of apart.entries()) {
    for (const lines of [[name, one], [name, other], [], [name, one, 'Connection', name]]) {
      const { body } = await send(house, `/apart/${number}`, lines)
      const seen = String(body).toLowerCase()
      if (lines.length > 0) tap.ok(seen.includes(`\n${String(lines[1]).toLowerCase()}`), `${lines.join(': ')} is given its own`)
      else tap.notOk(seen.includes(`\n${one.toLowerCase()}`) && one !== 'http', `nobody else is given ${name}: ${one}`)
    }
  }
})

t.test('fields that name the client are not in the key, nor fields that say no more than Host and scheme', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: balanced })
  await send(house, '/together', [])
  for (const lines of [
    ['X-Forwarded-For', '1.1.1.1'],
    ['X-Real-IP', '2.2.2.2'],
    ['Forwarded', 'for=1.1.1.1'],
    ['Forwarded', 'for="[::1]:80", For=unknown;BY=_x'],
    ['X-Forwarded-Proto', 'http'],
    ['X-Forwarded-Host', 'h'],
    ['X-Forwarded-Port', '80'],
  ]) tap.equal(detail(await send(house, '/together', lines)), 'fresh', lines.join(': '))
})

t.test('two spellings of one host share an entry, and the origin receives a single spelling', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  const bodies = new Set<string>()
  for (const host of ['api.example.com', 'API.EXAMPLE.COM', 'Api.Example.Com', 'api.example.com:80', 'api.example.com:', 'api.example.com:080', 'API.example.com:0080']) {
    const answer = await send(house, '/spelt', ['Host', host])
    if (answer.status === 200) bodies.add(String(answer.body))
  }
  tap.equal(bodies.size, 1)
  tap.match([...bodies][0], /host\napi\.example\.com\n/)
  tap.equal(house.origin.requests.length, 1)
})

t.test('hosts that are not the same share nothing', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  for (const host of ['a.example', 'a.example.', 'a.example:8080', 'a.example:443', 'b.a.example', 'a_example', 'a-example', '[::1]', '127.0.0.1', '127.1']) {
    const answer = await send(house, '/same', ['Host', host])
    tap.not(detail(answer), 'fresh', host)
    tap.match(String(answer.body), new RegExp(`host\n${host.replaceAll(/[.[\]]/g, '\\$&')}\n`))
  }
})

t.test('targets that are not the same bytes share nothing', async tap => {
  const house = await startProxy(tap, { origin: mirror })
  for (const target of ['/p', '/p/', '/P', '//p', '/p?', '/p??', '/p?a', '/p?a=', '/p?a=1', '/p?a=1&', '/p?a=1&a=2', '/p?a=2&a=1', '/p?A=1', '/p?a=%31', '/%70', '/p%2f', '/p%2F',
    '/p;x', '/p?a;b', '/p?a=1;b=2', '/./p', '/p/.', '/p\\', '/p%00', '/p%0d%0a', '/p%20', '/p+', '/p?__proto__', '/p?__proto__=1', '/p?constructor', '/__proto__', '/p?a=1%26b=2',
    '/p?a=1&b=2', '/p?b=2&a=1', '/p 4:x'.replace(' ', '%20')]) {
    const answer = await send(house, target, [])
    tap.not(detail(answer), 'fresh', target)
    tap.equal(String(answer.body).split('\n')[0], `GET ${target}`)
  }
})

t.test('a query parameter that is ignored does not reach the origin', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: { routes: [{ match: {}, origin: 'api', key: { query: { ignore: ['utm_*', 'cb'] } } }] } })
  for (const target of ['/q?a=1&utm_source=evil', '/q?utm_source=evil&a=1', '/q?cb=evil&a=1&utm_x=evil&cb', '/q?a=1&utm_source=evil;b=evil', '/q?a=1&utm_=evil']) {
    tap.match(String((await send(house, target, [])).body), /^GET \/q\?a=1\n/, target)
  }
  for (const target of ['/q?a=1&UTM_source=kept', '/q?a=1&utm%5Fsource=kept', '/q?a=1&%75tm_source=kept', '/q?a=1;utm_source=kept', '/q?a=1&xcb=kept']) {
    tap.match(String((await send(house, target, [])).body), /kept/, `${target} is another name`)
  }
  tap.notMatch(String((await send(house, '/q?a=1', [])).body), /evil|kept/)
})

t.test('nor with a request that passes the cache by', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: { routes: [{ match: {}, origin: 'api', key: { query: { ignore: ['utm_*'] } } }] } })
  for (const [method, lines] of [
    ['GET', ['If-Match', '"a"']],
    ['GET', ['Content-Length', '0', 'Upgrade', 'h2c', 'Connection', 'upgrade']],
    ['POST', []],
    ['PUT', []],
    ['DELETE', []],
    ['OPTIONS', []],
  ] as const) {
    tap.match(String((await send(house, '/q?a=1&utm_source=evil', lines, method)).body), new RegExp(`^${method} /q\\?a=1\n`), `${method} ${lines.join()}`)
  }
})

t.test('cookies in the key: however they are spread, an origin reads the same as the key', async tap => {
  const house = await startProxy(tap, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=600' })
      response.end(`cookie: ${request.rawHeaders.filter((_, i, all) => all[i - (i % 2)]?.toLowerCase() === 'cookie').join('|')}`)
    },
    key: { cookies: ['sid'] },
  })
  const tricks: readonly string[][] = [
    ['Cookie', 'a=1', 'Cookie', 'sid=evil'],
    ['Cookie', 'sid=evil', 'cookie', 'b=2'],
    ['Cookie', 'a=1; sid=evil'],
    ['Cookie', 'a=1;sid=evil'],
    ['Cookie', 'a=1, sid=evil'],
    ['Cookie', 'a="1; sid=evil"'],
    ['Cookie', 'sid="evil"'],
    ['Cookie', 'sid=evil; sid=ann'],
    ['Cookie', 'sid=ann; sid=evil'],
    ['Cookie', ' ; sid=evil'],
    ['Cookie', 'sid = evil'],
    ['Cookie', 'sid=evil,sid=ann'],
  ]
  for (const lines of tricks) await send(house, '/c', lines)
  for (const victim of [[], ['Cookie', 'a=1'], ['Cookie', 'sid=ann'], ['Cookie', 'a=1; sid=ann'], ['Cookie', 'a="1']]) {
    tap.notMatch(String((await send(house, '/c', victim)).body), /evil/, victim.join(': '))
  }
  for (const { rawHeaders } of house.origin.requests) tap.equal(rawHeaders.filter(name => name.toLowerCase() === 'cookie').length <= 1, true, 'one Cookie line')
})

/** The statuses with which an origin that dislikes something about one request may respond, without fields about freshness. */
const dislikes = [400, 403, 404, 405, 408, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505]

t.test('an error that one client provokes is for that client', async tap => {
  const house = await startProxy(tap, {
    origin: (request, response) => {
      const status = Number(request.headers['x-provoke'] ?? 200)
      // Statuses that RFC 9111 §4.2.2 lets a cache guess about are not dated: an origin that dates an error speaks of the
      // resource.
      const dated = ![404, 405, 410, 414, 501].includes(status)
      if (status === 200) response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('good')
      else response.writeHead(status, { ...(dated && { 'Last-Modified': 'Sat, 01 Jan 2000 00:00:00 GMT' }), 'ETag': '"e"' }).end('evil')
    },
    cache: { ttl: { default: '1h' }, staleWhileRevalidate: '1h', staleIfError: '1h' },
  })
  for (const status of dislikes) {
    for (const method of ['GET', 'HEAD']) {
      await send(house, `/e/${status}/${method}`, ['X-Provoke', String(status)], method)
      tap.equal(String((await send(house, `/e/${status}/${method}`, [])).body), 'good', `${method} ${status}`)
    }
  }
})

t.test('ranges, conditions and hop-by-hop fields of one request shape no entry', async tap => {
  const body = '0123456789'
  const house = await startProxy(tap, {
    origin: (request, response) => {
      const { headers } = request
      const fields = { 'Cache-Control': 'max-age=600', 'ETag': '"v"' }
      if (headers.range !== undefined) response.writeHead(206, { ...fields, 'Content-Range': 'bytes 0-1/10' }).end('01')
      else if (headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined) response.writeHead(304, fields).end()
      else if (headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined) response.writeHead(412, fields).end()
      else if (headers.expect !== undefined) response.writeHead(417, fields).end()
      else if (headers.upgrade !== undefined) response.writeHead(426, fields).end()
      else response.writeHead(200, fields).end(body)
    },
  })
  const tricks: readonly string[][] = [
    ['Range', 'bytes=0-1'],
    ['range', 'bytes=0-1'],
    ['Range', 'bytes=0-1', 'If-Range', '"v"'],
    ['Range', 'bytes=99-'],
    ['Range', 'bytes=1-0'],
    ['Range', 'lines=1'],
    ['Range', 'bytes=0-0,2-2,4-4'],
    ['Range', 'x'],
    ['If-None-Match', '"v"'],
    ['If-None-Match', '*'],
    ['If-None-Match', '"x"'],
    ['If-None-Match', 'nonsense'],
    ['If-Modified-Since', 'Sat, 01 Jan 2050 00:00:00 GMT'],
    ['If-Modified-Since', 'nonsense'],
    ['If-Match', '"x"'],
    ['If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT'],
    ['If-Range', '"x"'],
    ['Expect', '100-continue'],
    ['Expect', 'nonsense'],
    ['Upgrade', 'h2c'],
    ['Upgrade', 'h2c', 'Connection', 'Upgrade'],
    ['TE', 'trailers'],
    ['Max-Forwards', '0'],
    ['Cache-Control', 'no-cache'],
    ['Cache-Control', 'only-if-cached'],
    ['Cache-Control', 'max-stale'],
    ['Pragma', 'no-cache'],
    ['Connection', 'close, Cache-Control, ETag'],
    ['Content-Length', '0'],
    ['Accept-Encoding', 'nonsense'],
  ]
  for (const [i, lines] of tricks.entries()) {
    for (const method of ['GET', 'HEAD']) {
      const path = `/s/${i}/${method}`
      await send(house, path, lines, method)
      const victim = await send(house, path, [])
      tap.equal(victim.status, 200, `${method} ${lines.join(': ')}`)
      tap.equal(String(victim.body), body)
      const again = await send(house, path, [])
      tap.same([again.status, String(again.body), again.header('content-length')], [200, body, '10'])
    }
  }
})

/** Responses to one user that another user must not receive. */
const personal: readonly (readonly [name: string, answer: readonly string[], asked?: readonly string[]])[] = [
  ['private', ['Cache-Control', 'private, max-age=600']],
  ['private in capitals', ['CACHE-CONTROL', 'PRIVATE, MAX-AGE=600']],
  ['private behind max-age', ['Cache-Control', 'max-age=600, private']],
  ['private on a second line', ['Cache-Control', 'max-age=600', 'Cache-Control', 'private']],
  ['private with an empty argument', ['Cache-Control', 'max-age=600, private=']],
  ['private with a bare argument', ['Cache-Control', 'max-age=600, private=yes']],
  ['private=1', ['Cache-Control', 'max-age=600, private=1']],
  ['private=true', ['Cache-Control', 'max-age=600, private="true"']],
  ['private with an open quote', ['Cache-Control', 'max-age=600, private="x-user']],
  ['private behind an open quote', ['Cache-Control', 'max-age=600, foo="bar, private']],
  ['private where a comma is due', ['Cache-Control', 'max-age=600 private']],
  ['private behind a semicolon', ['Cache-Control', 'max-age=600; private']],
  ['private beside public', ['Cache-Control', 'public, private, max-age=600']],
  ['private for a field and for all', ['Cache-Control', 'private="x", private, max-age=600']],
  ['no-store', ['Cache-Control', 'no-store, max-age=600']],
  ['no-store beside public', ['Cache-Control', 'public, max-age=600, no-store']],
  ['no-store with an argument', ['Cache-Control', 'max-age=600, no-store=1']],
  ['no-store behind tabs', ['Cache-Control', 'max-age=600,\t\tno-store']],
  ['no-store beside must-understand that is malformed', ['Cache-Control', 'max-age=600, no-store, must-understand=1']],
  ['no-cache', ['Cache-Control', 'no-cache, max-age=600']],
  ['max-age that is malformed', ['Cache-Control', 'max-age=600x']],
  ['max-age that is negative', ['Cache-Control', 'max-age=-1']],
  ['max-age twice', ['Cache-Control', 'max-age=600, max-age=0']],
  ['max-age twice, on two lines', ['Cache-Control', 'max-age=600', 'Cache-Control', 'max-age=0']],
  ['max-age in quotes that do not close', ['Cache-Control', 'max-age="600']],
  ['s-maxage=0', ['Cache-Control', 'max-age=600, s-maxage=0']],
  ['s-maxage twice', ['Cache-Control', 's-maxage=600, s-maxage=0']],
  ['Vary: *', ['Cache-Control', 'max-age=600', 'Vary', '*']],
  ['Vary: * behind another', ['Cache-Control', 'max-age=600', 'Vary', 'Accept, *']],
  ['Vary: * on a second line', ['Cache-Control', 'max-age=600', 'Vary', 'Accept', 'vary', '*']],
  ['Vary: * without commas', ['Cache-Control', 'max-age=600', 'Vary', 'Accept *']],
  ['Vary: * in quotes', ['Cache-Control', 'max-age=600', 'Vary', '"*"']],
  ['Vary: * behind a quote', ['Cache-Control', 'max-age=600', 'Vary', '"Accept, *']],
  ['Vary: * behind empty members', ['Cache-Control', 'max-age=600', 'Vary', ',, ,*']],
  ['Vary that is no name', ['Cache-Control', 'max-age=600', 'Vary', 'X-User;q=1']],
  ['Vary on the user', ['Cache-Control', 'max-age=600', 'Vary', 'X-User']],
  ['Vary on the user, in odd case', ['Cache-Control', 'max-age=600', 'Vary', 'x-USER']],
  ['Vary on the user, on a second line', ['Cache-Control', 'max-age=600', 'Vary', 'Accept', 'Vary', 'X-User']],
  ['Set-Cookie', ['Cache-Control', 'max-age=600', 'Set-Cookie', 'sid=secret']],
  ['Set-Cookie beside public', ['Cache-Control', 'public, max-age=600', 'Set-Cookie', 'sid=secret']],
  ['Set-Cookie beside a private that names another', ['Cache-Control', 'private="x-a", max-age=600', 'Set-Cookie', 'sid=secret']],
  ['Authorization', ['Cache-Control', 'max-age=600'], ['Authorization', 'Bearer x']],
  ['Authorization that is empty', ['Cache-Control', 'max-age=600'], ['Authorization', '']],
  ['Authorization named by Connection', ['Cache-Control', 'max-age=600'], ['Authorization', 'Bearer x', 'Connection', 'Authorization']],
  ['Authorization, and public that is malformed', ['Cache-Control', 'max-age=600, public=1'], ['Authorization', 'Bearer x']],
  ['Authorization, and public in quotes', ['Cache-Control', 'max-age=600, x="public"'], ['Authorization', 'Bearer x']],
  ['Authorization, and s-maxage that is malformed', ['Cache-Control', 'max-age=600, s-maxage=x'], ['Authorization', 'Bearer x']],
  ['Authorization, and Expires', ['Expires', 'Sat, 01 Jan 2050 00:00:00 GMT'], ['Authorization', 'Bearer x']],
  ['Cookie', ['Cache-Control', 'max-age=600'], ['Cookie', 'sid=1']],
  ['Cookie named by Connection', ['Cache-Control', 'max-age=600'], ['Cookie', 'sid=1', 'Connection', 'Cookie']],
  ['Cache-Control named by Connection', ['Cache-Control', 'private, max-age=600', 'Connection', 'Cache-Control', 'Expires', 'Sat, 01 Jan 2050 00:00:00 GMT']],
  ['Vary named by Connection', ['Cache-Control', 'max-age=600', 'Vary', '*', 'Connection', 'Vary']],
  ['CDN-Cache-Control: private', ['Cache-Control', 'max-age=600', 'CDN-Cache-Control', 'private']],
  ['Surrogate-Control: no-store', ['Cache-Control', 'max-age=600', 'Surrogate-Control', 'no-store']],
  ['an Age beyond all', ['Cache-Control', 'max-age=600', 'Age', '99999999999999999999']],
  ['an Age that has eaten the lifetime', ['Cache-Control', 'max-age=600', 'Age', '600']],
  ['Expires that is no date', ['Expires', '0']],
  ['Expires twice', ['Expires', 'Sat, 01 Jan 2050 00:00:00 GMT', 'Expires', 'Sat, 01 Jan 2000 00:00:00 GMT']],
]

t.test('a response fetched for one user is never sent to another, even to one that waited for it', async tap => {
  const held: (() => void)[] = []
  let hold = false
  const house = await startProxy(tap, {
    origin: (request, response) => {
      const [, answer = []] = personal[Number(/\d+/.exec(request.url ?? '')?.[0])] ?? []
      const send1 = (): void => {
        response.writeHead(200, [...answer]).end(`for ${request.headers['x-user']}`)
      }
      if (hold) held.push(send1)
      else send1()
    },
  })
  for (const [i, [name, , asked = []]] of personal.entries()) {
    for (const user of ['ann', 'bob', 'ann', 'cat']) {
      const answer = await send(house, `/one/${i}`, ['X-User', user, ...asked])
      tap.equal(String(answer.body), `for ${user}`, `${name}: one after another`)
    }
    hold = true
    const all = ['ann', 'bob', 'cat', 'dan'].map(user => send(house, `/all/${i}`, ['X-User', user, ...asked]))
    await new Promise(resolve => {
      setTimeout(resolve, 10)
    })
    hold = false
    for (const release of held.splice(0)) release()
    // Requests that reached the origin late.
    const flushed = setInterval(() => {
      for (const release of held.splice(0)) release()
    }, 5)
    tap.same((await Promise.all(all)).map(one => String(one.body)), ['ann', 'bob', 'cat', 'dan'].map(user => `for ${user}`), `${name}: all at once`)
    clearInterval(flushed)
  }
})

t.test('a field that private or no-cache keeps back is for the one that it was sent to', async tap => {
  const house = await startProxy(tap, {
    origin: (request, response) => {
      response.writeHead(200, ['Cache-Control', `max-age=600, ${request.url === '/p' ? 'private' : 'no-cache'}="X-User, set-cookie"`, 'X-User', 'secret', 'x-user', 'secret',
        'Set-Cookie', 'sid=secret', 'X-All', '1'])
      response.end('shared')
    },
  })
  for (const path of ['/p', '/n']) {
    tap.match((await send(house, path, [])).rawHeaders.join(), /secret/)
    const hit = await send(house, path, [])
    tap.equal(detail(hit), 'fresh')
    tap.notMatch(hit.rawHeaders.join(), /secret/)
    tap.equal(hit.header('x-all'), '1')
  }
})

t.test("an origin's own fields of the hop are neither sent on nor stored", async tap => {
  const house = await startProxy(tap, { origin: (_, response) => {
    response.writeHead(200, ['Cache-Control', 'max-age=600', 'Connection', 'X-Hop, close', 'X-Hop', '1', 'Keep-Alive', 'timeout=5', 'Proxy-Authenticate', 'Basic', 'Trailer', 'X-T',
      'Upgrade', 'h2c', 'Proxy-Connection', 'close', 'TE', 'x']).end('x')
  } })
  for (const answer of [await send(house, '/', []), await send(house, '/', []), await send(house, '/', [], 'POST')]) {
    for (const name of ['x-hop', 'proxy-authenticate', 'trailer', 'upgrade', 'proxy-connection', 'te']) tap.equal(answer.header(name), undefined, name)
  }
})

t.test("a name in a client's Connection removes no field that the proxy adds", async tap => {
  const house = await startProxy(tap, { origin: mirror })
  for (const name of ['X-Forwarded-For', 'x-forwarded-proto', 'X-Forwarded-Host', 'Forwarded', 'Via', 'X-Request-Id', 'Host', 'Cookie', 'Authorization', 'close, X-Forwarded-For',
    'keep-alive,Via', 'Cache-Control', 'If-None-Match']) {
    const { body } = await send(house, `/conn/${encodeURIComponent(name)}`, ['Connection', name, 'Connection', name])
    tap.match(String(body),
      /host\nh\n[^]*x-forwarded-for\n127\.0\.0\.1\n[^]*x-forwarded-proto\nhttp\n[^]*x-forwarded-host\nh\n[^]*forwarded\nfor=[^]*via\n1\.1 springhouse\n[^]*x-request-id\n/, name)
  }
})

const odd = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']

t.test('names that mean something to JavaScript mean nothing here', async tap => {
  const house = await startProxy(tap, {
    origin: (request, response) => {
      response.writeHead(200, ['Cache-Control', `max-age=600, __proto__=1, constructor, private="__proto__"`, 'Vary', odd.join(), ...odd.flatMap(name => [name, 'x']), 'Cache-Tag',
        odd.join(), 'Surrogate-Key', odd.join(' '), 'ETag', '"__proto__"'])
      response.end(`answer to ${request.url}`)
    },
    config: { routes: [{ match: {}, origin: 'api', key: { cookies: odd, query: { ignore: odd, sort: true } } }] },
  })
  for (const name of odd) {
    const lines = [name, 'evil', 'Cookie', `${name}=evil; a=1`, 'Connection', name, 'X-Forwarded-For', name]
    for (const method of ['GET', 'HEAD', 'POST']) {
      const answer = await send(house, `/${name}?${name}=1&${name}[${name}]=2`, lines, method)
      tap.equal(answer.status, 200, `${method} ${name}`)
      if (method === 'POST') tap.equal(answer.header(name.toLowerCase()), 'x', `${name} reaches the client`)
    }
    tap.equal((await house.purge({ tags: [name] })).status, 200)
    tap.equal((await house.purge({ urls: [`http://h/${name}`] })).status, 200)
    tap.equal((await house.admin(`/v1/explain?url=http://h/${name}&${name}=1`)).status === 500, false)
  }
  const polluted = JSON.parse('{"__proto__": {"all": true}, "constructor": {"prototype": {"all": true}}}') as unknown
  tap.equal((await house.purge(polluted)).status, 400)
  tap.equal(({} as Record<string, unknown>)['all'], undefined)
  tap.equal(String((await send(house, '/fine', [])).body), 'answer to /fine')
})

t.test('dates, ages and lifetimes beyond all sense are bounded', async tap => {
  const lifetimes: readonly (readonly [string, readonly string[], boolean])[] = [
    ['max-age of 2^31', ['Cache-Control', 'max-age=2147483648'], true],
    ['max-age of 2^64', ['Cache-Control', 'max-age=18446744073709551616'], true],
    ['max-age of 400 digits', ['Cache-Control', `max-age=${'9'.repeat(400)}`], true],
    ['a Date in the future', ['Cache-Control', 'max-age=600', 'Date', 'Sat, 01 Jan 2050 00:00:00 GMT'], true],
    ['a Date in the past', ['Cache-Control', 'max-age=600', 'Date', 'Sat, 01 Jan 2000 00:00:00 GMT'], false],
    ['Expires and Date in the future', ['Expires', 'Sat, 01 Jan 2050 00:10:00 GMT', 'Date', 'Sat, 01 Jan 2050 00:00:00 GMT'], true],
    ['Expires in the past, by a clock that is behind', ['Expires', 'Sat, 01 Jan 2000 00:10:00 GMT', 'Date', 'Sat, 01 Jan 2000 00:00:00 GMT'], false],
    ['Last-Modified in the future', ['Last-Modified', 'Sat, 01 Jan 2050 00:00:00 GMT'], false],
    ['Expires in the year 9999', ['Expires', 'Fri, 31 Dec 9999 23:59:59 GMT'], true],
    ['Expires that overflows', ['Expires', 'Sat, 01 Jan 999999999 00:00:00 GMT'], false],
  ]
  const house = await startProxy(tap, { origin: (request, response) => {
    response.sendDate = false
    response.writeHead(200, [...lifetimes[Number(request.url?.slice(1))]?.[1] ?? []]).end('x')
  }, cache: { ttl: { max: '1d' } } })
  for (const [i, [name, , kept]] of lifetimes.entries()) {
    await send(house, `/${i}`, [])
    const hit = await send(house, `/${i}`, [])
    tap.equal(detail(hit) === 'fresh', kept, name)
    const ttl = Number(/ttl=(-?\d+)/.exec(hit.header('cache-status') ?? '')?.[1] ?? 0)
    tap.ok(ttl <= 86_400, `${name}: ${ttl} s`)
  }
})

t.test('validators of odd bytes go back to the origin as they came', async tap => {
  const tags = ['"a"', 'W/"a"', 'a', '"caf\xe9"', '"a\\"b"', '""', '"a", "b"', '"', '*', '"\x80\xff"', 'W/', '"a" ', '"${x}"', '"%0d%0a"']
  let seen: string | undefined
  const house = await startProxy(tap, {
    origin: (request, response) => {
      seen = request.rawHeaders[request.rawHeaders.findIndex(name => name.toLowerCase() === 'if-none-match') + 1]
      const tag = tags[Number(request.url?.slice(1))] as string
      if (request.headers['if-none-match'] !== undefined) response.writeHead(304).end()
      else response.writeHead(200, ['Cache-Control', 'max-age=1', 'ETag', tag]).end('x')
    },
  })
  for (const [i, tag] of tags.entries()) {
    await send(house, `/${i}`, [])
    house.clock.advance(2_000)
    const again = await send(house, `/${i}`, [])
    tap.same([again.status, String(again.body), seen], [200, 'x', tag.trim()], tag)
  }
})
