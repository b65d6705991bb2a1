// Cookies in the key: an origin receives the cookies that the key has read, and nothing that it could read in another way.
import { connect } from 'node:http2'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { namedCookies } from '../../src/policy/cookies.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { ask, type Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** Says which Cookie it was sent. */
const mirror: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600', ...(request.method === 'POST' && { 'Content-Location': request.url }) })
  response.end(`${request.method} cookie: ${request.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]?.toLowerCase() === 'cookie').join('|')}`)
}

function send(house: TestProxy, path: string, cookies: readonly string[], method = 'GET', more: readonly string[] = []): Promise<Answer> {
  return ask(house.port, { path, method, headers: ['Host', 'h', ...cookies.flatMap(line => ['Cookie', line]), ...more] })
}

/** Cookie lines, and the cookies that an origin receives if `lang` and `tz` are named. */
const lines: readonly (readonly [said: readonly string[], sent: string])[] = [
  [['lang=de'], 'lang=de'],
  [['lang=de; tz=x'], 'lang=de; tz=x'],
  [['tz=x; lang=de'], 'lang=de; tz=x'],
  [['a=b; lang=de; c=d'], 'lang=de'],
  [['lang=de', 'tz=x'], 'lang=de; tz=x'],
  [['lang=de;tz=x'], 'lang=de; tz=x'],
  [['\tlang\t=\tde ;x'], 'lang=de'],
  [['lang=1; lang=2'], 'lang=1; lang=2'],
  [['lang=2; lang=1'], 'lang=2; lang=1'],
  [['lang=1', 'lang=2'], 'lang=1; lang=2'],
  [['lang=1; tz=x; lang=2'], 'lang=1; lang=2; tz=x'],
  [['lang='], 'lang='],
  [['lang=;lang'], 'lang='],
  [['lang=a=b'], 'lang=a=b'],
  [['lang==evil'], 'lang==evil'],
  [['lang=a%3Bsid%3Devil'], 'lang=a%3Bsid%3Devil'],
  [['lang="a b"'], 'lang="a b"'],
  [['lang="a; sid=evil"'], 'lang="a'],
  [['lang=a, sid=evil'], 'lang=a, sid=evil'],
  [['lang=caf\xe9'], 'lang=caf\xe9'],
  [['lang=a\xa0'], 'lang=a\xa0'],
  // Names that an application takes for `lang`, and the key does not.
  [['lang'], ''],
  [['lang; a=b'], ''],
  [['lang[x]=evil'], ''],
  [['lang[]=evil'], ''],
  [['lang.x=evil'], ''],
  [['lang_x=evil'], ''],
  [['lang x=evil'], ''],
  [['a=b lang=evil'], ''],
  [['a=b, lang=evil'], ''],
  [['a="b; lang=evil'], 'lang=evil'],
  [['a="b lang=evil"'], ''],
  [['LANG=evil'], ''],
  [['Lang=evil'], ''],
  [['la%6Eg=evil'], ''],
  [['%6cang=evil'], ''],
  [['lang%00=evil'], ''],
  [['\xa0lang=evil'], ''],
  [['lang\xa0=evil'], ''],
  [['"lang"=evil'], ''],
  [['$lang=evil'], ''],
  [['$Version=1; $Path=/; a=b'], ''],
  [['$Version="1"; lang=de; $Path=/'], 'lang=de'],
  [['=lang'], ''],
  [['=lang=evil'], ''],
  [['lang:evil'], ''],
  [['lang&x=evil'], ''],
  [['x&lang=evil'], ''],
  [['a=b&lang=evil'], ''],
  [['__proto__=evil'], ''],
  [['__proto__[lang]=evil'], ''],
  [['constructor=evil; toString=evil'], ''],
  [['__Host-lang=evil'], ''],
  [['__Secure-lang=evil'], ''],
  [[''], ''],
  [[';'], ''],
  [[' ; ; '], ''],
]

// The guard is `withNamedCookies` in exchange/routed-request.ts.
t.test('an origin is sent the cookies that the key names, and nothing else', async tap => {
  for (const requestHeaders of ['all', 'strict']) {
    const house = await startProxy(tap, { origin: mirror, config: { routes: [{ match: {}, origin: 'api', requestHeaders, key: { cookies: ['lang', 'tz'] } }] } })
    for (const [number, [said, sent]] of lines.entries()) {
      const path = `/c/${number}`
      tap.equal(String((await send(house, path, said)).body), `GET cookie: ${sent}`, said.join('|'))
      tap.equal(detail(await send(house, path, said)), 'fresh')
      for (const victim of [[], ['a=1'], ['lang=de; tz=x'], ['lang=fr']]) {
        const [, expected = ''] = lines.find(([other]) => other.join() === victim.join()) ?? []
        const seen = String((await send(house, path, victim)).body)
        tap.equal(seen, `GET cookie: ${victim[0] === 'lang=fr' ? 'lang=fr' : expected}`, `${said.join('|')}, then ${victim.join('|')}`)
      }
    }
  }
})

t.test('a passed request has its cookies, and its response is stored only if it had no others', async tap => {
  const house = await startProxy(tap, { origin: mirror, key: { cookies: ['lang'] } })
  tap.equal(String((await send(house, '/p', ['lang=de; sid=1', 'a'], 'POST')).body), 'POST cookie: lang=de; sid=1; a')
  tap.equal(String((await send(house, '/p', ['lang=de'])).body), 'GET cookie: lang=de', 'the response to a POST with others is not stored')
  await send(house, '/q', ['lang[x]=evil'], 'POST')
  tap.equal(String((await send(house, '/q', [])).body), 'GET cookie: ')
  await send(house, '/r', ['lang=de'], 'POST')
  tap.equal(String((await send(house, '/r', ['lang=de; sid=2'])).body), 'POST cookie: lang=de', 'that to one with the named ones is')
  tap.equal(String((await send(house, '/s', ['lang=de; sid=1'], 'GET', ['If-Match', '"a"'])).body), 'GET cookie: lang=de; sid=1')
})

t.test('private and ignore forward the cookies of the client', async tap => {
  for (const cookies of ['private', 'ignore']) {
    const house = await startProxy(tap, { origin: mirror, cache: { cookies } })
    for (const [number, [said]] of lines.entries()) {
      tap.equal(String((await send(house, `/${number}`, said)).body), `GET cookie: ${said.map(line => line.replace(/^[\t ]+|[\t ]+$/g, '')).join('; ')}`, said.join('|'))
    }
  }
})

t.test('Vary: Cookie separates the cookies that the origin was sent', async tap => {
  const house = await startProxy(tap, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Vary': 'Cookie' }).end(request.headers.cookie ?? '')
    },
    key: { cookies: ['lang'] },
  })
  await send(house, '/', ['lang=de; sid=1'])
  tap.equal(detail(await send(house, '/', ['sid=2; lang=de'])), 'fresh')
  tap.equal(detail(await send(house, '/', ['sid=2'])), 'uri-miss')
})

t.test('explain has the same key', async tap => {
  const house = await startProxy(tap, { origin: mirror, key: { cookies: ['lang'] } })
  await send(house, '/e', ['lang=de; sid=1'])
  const reason = async (cookie: string | string[]): Promise<string> =>
    (JSON.parse(String((await house.admin('/v1/explain', { url: 'http://h/e', headers: { cookie } })).body)) as { decision: { reason: string } }).decision.reason
  tap.equal(await reason('lang=de'), 'fresh')
  tap.equal(await reason(['x=y', ' lang=de\t']), 'fresh')
  for (const other of ['lang[x]=de', 'lang', 'x=y lang=de', 'lang=de\u00a0', '\u00a0lang=de']) tap.equal(await reason(other), 'uri-miss', other)
})

t.test('cookies that HTTP/2 sends in crumbs are read as one line (RFC 9113 §8.2.3)', async tap => {
  const folder = mkdtempSync(join(tmpdir(), 'springhouse-cookies-'))
  tap.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'cert.pem'), testCertificate)
  writeFileSync(join(folder, 'key.pem'), testKey)
  const house = await startProxy(tap, {
    origin: mirror,
    config: {
      proxy: { host: '127.0.0.1', port: 0, tls: { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') } },
      routes: [{ match: {}, origin: 'api', key: { cookies: ['lang'] } }],
    },
  })
  const client = connect(house.app.proxyUrl, { ca: testCertificate })
  tap.teardown(async () => client.destroy())
  const get = (cookie: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      let body = ''
      const stream = client.request({ ':path': '/', ...(cookie.length > 0 && { cookie }) })
      stream.setEncoding('latin1').on('data', (chunk: string) => {
        body += chunk
      }).on('end', () => resolve(body)).on('error', reject)
    })
  tap.equal(await get(['a=b', 'lang[x]=evil', 'lang']), 'GET cookie: ')
  tap.equal(await get([]), 'GET cookie: ')
  tap.equal(await get(['lang=1', 'a=b', 'lang=2']), 'GET cookie: lang=1; lang=2')
  tap.equal(await get(['lang=2', 'lang=1']), 'GET cookie: lang=2; lang=1')
})

t.test('a field of kept cookies is kept again, and holds no other name before its first equals sign', async tap => {
  const piece = fc.constantFrom('lang', 'tz', 'sid', '=', ';', '; ', ' ', '\t', ',', '"', '[x]', '.x', '%', '\xa0', '\xe9', '$', '__proto__', 'a=b')
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')), field => {
    const kept = namedCookies(field, ['lang', 'tz'])
    if (kept === undefined) return true
    return namedCookies(kept, ['lang', 'tz']) === kept && kept.split('; ').every(pair => /^(?:lang|tz)=[^;]*$/.test(pair))
  }), { numRuns: 5_000 })
  tap.pass('for every field')
})
