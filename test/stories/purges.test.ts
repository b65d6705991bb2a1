// A purge that gets 200 reaches what the operator named, in every spelling that clients use.
import t from 'tap'
import { ask, rawRequest, type Answer } from '../support/client.ts'
import { counting, detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { secureClients } from '../support/secure-clients.ts'
import { tlsFiles } from '../support/tls-files.ts'
import { onEachStore, utf8Bytes } from './replicas.ts'

const page = (tags = ''): ReturnType<typeof counting> =>
  counting({ 'Cache-Control': 'max-age=600', 'ETag': '"1"', 'Vary': 'Accept', ...(tags !== '' && { 'Cache-Tag': utf8Bytes(tags) }) })

const matched = (answer: { readonly body: Buffer }): unknown => (JSON.parse(answer.body.toString()) as { matched: unknown }).matched

// The guard: countMatched() in admin/matched.ts.
t.test('a receipt says how many stored responses the purge named', async (t) => {
  const house = await startProxy(t, { origin: page('x'), host: 'api.example.com' })
  for (const path of ['/a', '/b', '/c/1', '/c/2?x=1']) await house.get(path)
  await house.get('/a', { Accept: 'text/html' })
  for (const [body, count] of [
    [{ urls: ['/none'] }, 0],
    [{ tags: ['none'] }, 0],
    [{ urls: ['http://other.example.com/a'] }, 0],
    [{ urls: ['/a'], soft: true }, 2],
    [{ urls: ['/a'] }, 2],
    [{ urls: ['/a'] }, 0],
    [{ prefixes: ['http://api.example.com/c/'], urls: ['/c/1'] }, 2],
    [{ tags: ['x', 'y'], tagsMatch: 'all' }, 0],
    [{ tags: ['x', 'y'] }, 1],
    [{ all: true }, 0],
  ] as const) t.equal(matched(await house.purge(body)), count, JSON.stringify(body))
})

t.test('a receipt says unknown where counting would cost something', async (t) => {
  await onEachStore(t, () => page('x'), {}, async (t, { first, second }) => {
    await first.get('/a')
    t.equal(matched(await second.purge({ urls: ['/a'] })), first === second ? 1 : 'unknown')
  })
  const house = await startProxy(t, { origin: page('x') })
  for (let i = 0; i < 70; i++) await house.get(`/${i}`)
  t.equal(matched(await house.purge({ tags: ['x'], soft: true })), 70)
  t.equal(matched(await house.purge({ tags: Array.from({ length: 1000 }, (_, i) => `t${i}`) })), 'unknown', 'too many names')
})

const behindProxy = { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } }

/** A request of a client for https://www.example.com/a?b=c, as a proxy in front forwards it. */
const forwarded: Readonly<Record<string, readonly string[]>> = {
  'with its Host': ['Host', 'www.example.com', 'X-Forwarded-Proto', 'https'],
  'with X-Forwarded-Host': ['Host', 'internal:3000', 'X-Forwarded-Host', 'www.example.com', 'X-Forwarded-Proto', 'https'],
  'with X-Forwarded-Host in another case': ['Host', 'internal', 'X-Forwarded-Host', 'WWW.Example.COM'],
  'with X-Forwarded-Host and a final dot': ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com.'],
  'with X-Forwarded-Host and a port': ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com:443', 'X-Forwarded-Proto', 'https'],
  'with X-Forwarded-Host and a final dot before the port': ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com.:443'],
  'with X-Forwarded-Host of two proxies': ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com, cdn.example.net'],
  'with X-Forwarded-Port': ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com', 'X-Forwarded-Port', '443'],
  'with Forwarded': ['Host', 'internal', 'Forwarded', 'for=1.2.3.4;host=www.example.com;proto=https'],
  'with Forwarded, quoted, and a port': ['Host', 'internal', 'Forwarded', 'for="[::1]";host="WWW.example.com:443";proto=https'],
  'with Forwarded of two proxies': ['Host', 'internal', 'Forwarded', 'for=1.2.3.4;host=www.example.com, for=5.6.7.8;host=cdn.example.net'],
  'with Forwarded and X-Forwarded-Host that differ': ['Host', 'internal', 'X-Forwarded-Host', 'internal', 'Forwarded', 'host=www.example.com'],
  'with X-Original-Host': ['Host', 'internal', 'X-Original-Host', 'www.example.com'],
  'with Host and the port of HTTPS': ['Host', 'www.example.com:443'],
  'with Host and the port of HTTP': ['Host', 'www.example.com:80', 'X-Forwarded-Proto', 'https'],
  'with Host and a final dot': ['Host', 'www.example.com.', 'X-Forwarded-Proto', 'https'],
  'with Host in another case': ['Host', 'Www.Example.com', 'X-Forwarded-Proto', 'https'],
}

const send = (house: Pick<TestProxy, 'port'>, headers: readonly string[], more = {}): Promise<Answer> => ask(house.port, { path: '/a?b=c', headers, ...more })

const publicUrls = ['https://www.example.com/a?b=c', 'http://WWW.example.com/a?b=c', 'https://www.example.com:443/a?b=c', 'http://www.example.com:443/a?b=c',
  'https://www.example.com./a?b=c', 'https://www.example.com/%61?b=%63']
const publicPrefixes = ['https://www.example.com/', 'https://www.example.com./%61', 'http://www.example.com:443/a?b']

// The guards: publicHosts() in policy/public-hosts.ts, and purgeHost() in http/authority.ts.
for (const [how, headers] of Object.entries(forwarded)) {
  t.test(`a purge names what the client requested: ${how}`, (t) =>
    onEachStore(t, () => page(), behindProxy, async (t, { first, second }) => {
      const reaches = async (what: string, purge: () => Promise<Answer>): Promise<void> => {
        await send(first, headers)
        t.equal(detail(await send(second, headers)), 'fresh')
        t.ok((await purge()).status < 300)
        t.equal(detail(await send(second, headers)), 'uri-miss', what)
        t.equal(detail(await send(first, headers)), 'fresh', what)
      }
      for (const url of publicUrls) await reaches(url, () => second.purge({ urls: [url] }))
      for (const prefix of publicPrefixes) await reaches(prefix, () => second.purge({ prefixes: [prefix] }))
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) await reaches(method, () => send(second, headers, { method, body: 'x' }))
      await reaches('an unsafe request with the public Host', () => send(second, ['Host', 'www.example.com'], { method: 'PUT', body: 'x' }))
      await reaches('an unsafe request through another proxy', () => send(second, ['Host', 'other-internal', 'X-Forwarded-Host', 'www.example.com'], { method: 'PUT', body: 'x' }))
      await send(first, headers)
      await second.purge({ urls: ['https://example.com/a?b=c', 'https://www.example.com:8443/a?b=c', 'https://www.example.com/a'], prefixes: ['https://www.example.org/'] })
      t.equal(detail(await send(first, headers)), 'fresh', 'another host, port or target is another URL')
      const listed = JSON.parse((await second.admin('/v1/entries?prefix=https://www.example.com/a')).body.toString()) as { entries: unknown[] }
      t.equal(listed.entries.length, 1, 'and listed so')
    }))
}

t.test('a port that a proxy in front reports apart is part of the URL', async (t) => {
  const house = await startProxy(t, { origin: page(), config: behindProxy })
  for (const headers of [['Host', 'www.example.com', 'X-Forwarded-Port', '8443'], ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com', 'X-Forwarded-Port', '8443'], ['Host',
    'internal', 'X-Forwarded-Host', 'www.example.com:8443']]) {
    await send(house, headers)
    await house.purge({ urls: ['https://www.example.com:8443/a?b=c'] })
    t.equal(detail(await send(house, headers)), 'uri-miss', headers.join())
  }
})

t.test('a request in absolute-form is purged by its target, of either scheme', (t) =>
  onEachStore(t, () => page(), {}, async (t, { first, second }) => {
    const get = async (target: string): Promise<boolean> =>
      (await rawRequest(first.port, `GET ${target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n`)).includes('; hit')
    for (const target of ['http://www.example.com/a?b=c', 'https://www.example.com/a?b=c', 'https://WWW.example.com:443/a?b=c', 'http://www.example.com./a?b=c']) {
      await get(target)
      t.equal(await get(target), true, target)
      await second.purge({ urls: ['https://www.example.com/a?b=c'] })
      t.equal(await get(target), false, target)
      await rawRequest(second.port, `PUT ${target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      t.equal(await get(target), false, `PUT ${target}`)
    }
  }))

// The guard: RequestContext.trusted in forwarding/trusted-fields.ts, which writes the lines that publicHosts() reads.
t.test('an untrusted client chooses no host: neither for a purge, nor for what it invalidates', async (t) => {
  const house = await startProxy(t, { origin: page() })
  const claims = [['X-Forwarded-Host', 'victim.example'], ['Forwarded', 'host=victim.example'], ['X-Original-Host', 'victim.example'], ['X-Forwarded-Port', '8443'], [
    'x_forwarded_host',
    'victim.example',
  ]]
  for (const claim of claims) {
    await send(house, ['Host', 'own.example', ...claim])
    await send(house, ['Host', 'victim.example'])
    await send(house, ['Host', 'victim.example:8443'])
    await send(house, ['Host', 'own.example', ...claim], { method: 'PUT', body: 'x' })
    t.equal(detail(await send(house, ['Host', 'victim.example'])), 'fresh', claim.join())
    t.equal(detail(await send(house, ['Host', 'victim.example:8443'])), 'fresh', claim.join())
    await send(house, ['Host', 'own.example', ...claim])
    await house.purge({ urls: ['http://victim.example/a?b=c', 'http://own.example:8443/a?b=c'] })
    t.equal(detail(await send(house, ['Host', 'own.example'])), 'fresh', claim.join())
    await house.purge({ all: true })
  }
})

t.test('a host that a trusted proxy reports is part of the key as before, so no client gets the page of another host', async (t) => {
  const house = await startProxy(t, { config: behindProxy,
    origin: (request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(`links to ${String(request.headers['x-forwarded-host'])}`) })
  for (const host of ['a.example', 'b.example', 'a.example.', 'A.example']) {
    t.equal((await send(house, ['Host', 'internal', 'X-Forwarded-Host', host])).body.toString(), `links to ${host}`)
  }
})

// The guard: sameOriginTargets() in policy/references.ts.
t.test('Location and Content-Location at the public host are invalidated', (t) =>
  onEachStore(t, () => (request, response) => {
    if (request.method === 'GET') response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('page')
    else response.writeHead(201, { 'Location': String(request.headers['x-location']), 'Content-Location': '/c%7e' }).end()
  }, behindProxy, async (t, { first, second }) => {
    const ways = [['Host', 'internal', 'X-Forwarded-Host', 'www.example.com', 'X-Forwarded-Proto', 'https'], ['Host', 'internal', 'Forwarded', 'host=www.example.com;proto=https'],
      ['Host', 'www.example.com', 'X-Forwarded-Proto', 'https'], ['Host', 'www.example.com', 'X-Forwarded-Ssl', 'on'], ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com']]
    const at = async (house: Pick<TestProxy, 'port'>, headers: readonly string[], path: string): Promise<string | undefined> =>
      detail(await ask(house.port, { path, headers }))
    for (const headers of ways) {
      for (const location of ['https://www.example.com/b', 'https://WWW.example.com:443/%62', 'https://www.example.com./b', '/b', 'b']) {
        for (const path of ['/b', '/c~'])
          await at(first, headers, path)
        await ask(second.port, { path: '/a', method: 'PUT', body: 'x', headers: [...headers, 'X-Location', location] })
        for (const path of ['/b', '/c~'])
          t.equal(await at(first, headers, path), 'uri-miss', `${headers[3]}: ${location}: ${path}`)
      }
      for (const location of ['ftp://www.example.com/b', 'https://evil.example/b', 'https://www.example.com:8443/b', 'https://www.example.com.evil.example/b']) {
        await at(first, headers, '/b')
        await ask(second.port, { path: '/a', method: 'PUT', body: 'x', headers: [...headers, 'X-Location', location] })
        t.equal(await at(first, headers, '/b'), 'fresh', `${location} has another origin`)
      }
    }
  }))

// The guard: `anyHost` of keyedPurge() in exchange/routing/purge-keys.ts.
t.test('a purge by the public URL reaches what a route for the internal host keys without its ignored parameters', async (t) => {
  const route = (host: string, ignore: string[]): object => ({ match: { host }, origin: 'api', key: { query: { ignore } } })
  const house = await startProxy(t, { origin: page(), config: { ...behindProxy, routes: [route('www.example.com', []), route('internal', ['utm_*'])] } })
  const headers = ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com']
  for (const body of [{ urls: ['https://www.example.com/a?b=c&utm_source=x'] }, { urls: ['https://www.example.com/a?b=c&%75tm_source=x'] }]) {
    await send(house, headers)
    await house.purge(body)
    t.equal(detail(await send(house, headers)), 'uri-miss')
  }
  await send(house, headers, { method: 'PUT', body: 'x', path: '/a?utm_medium=y&b=c' })
  t.equal(detail(await send(house, headers)), 'uri-miss')
})

// The guard: the second matchRoute() of invalidationBy() in exchange/pass/invalidate.ts.
t.test('an unsafe request invalidates what another internal host keyed without the ignored parameters', async (t) => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.method === 'GET') response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('page')
      else response.writeHead(201, { Location: '/b?utm_source=x' }).end()
    },
    config: { ...behindProxy, routes: [{ match: { host: 'www.example.com' }, origin: 'api' }, { match: { host: '*.lan' }, origin: 'api', key: { query: { ignore: ['utm_*'] } } }] },
  })
  const through = (host: string): string[] => ['Host', host, 'X-Forwarded-Host', 'www.example.com']
  await send(house, through('one.lan'), { path: '/b' })
  await send(house, through('two.lan'), { path: '/a', method: 'PUT', body: 'x' })
  t.equal(detail(await send(house, through('one.lan'), { path: '/b' })), 'uri-miss')
})

// The guards: ResponseStorer.commit(), and joinFetch() in exchange/coalesce/coalescer.ts.
t.test('a purge by the public URL beats a fetch in flight, and a later request does not join it', async (t) => {
  let count = 0
  let send1: () => void = () => {}
  const house = await startProxy(t, {
    config: behindProxy,
    origin: (_request, response) => {
      const body = `answer ${++count}`
      const answer = (): void => void response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(body)
      if (count === 1) send1 = answer
      else answer()
    },
  })
  const headers = ['Host', 'internal', 'X-Forwarded-Host', 'www.example.com']
  const early = send(house, headers)
  await house.origin.nth(1)
  await house.purge({ urls: ['https://www.example.com/a?b=c'] })
  t.equal((await send(house, headers)).body.toString(), 'answer 2')
  send1()
  t.equal((await early).body.toString(), 'answer 1')
  t.equal((await send(house, headers)).body.toString(), 'answer 2')
})

t.test('an HTTP/2 client is served as one of HTTP/1.1: its authority, and the hosts that it reports if it is trusted', async (t) => {
  const { cert, key } = tlsFiles(t)
  const house = await startProxy(t, { origin: page('größe'), config: { proxy: { ...behindProxy.proxy, tls: { cert, key } }, cache: { tags: { forward: true } } } })
  const clients = secureClients(house.port)
  t.teardown(async () => clients.close())
  const reason = async (fields: Readonly<Record<string, string>>, method = 'GET'): Promise<string | undefined> => {
    const { lines } = await clients.ask('h2', '/a?b=c', method, fields)
    t.ok(lines.includes('cache-tag'), 'the tags are forwarded')
    return /detail=([\w-]+)/.exec(lines[lines.indexOf('cache-status') + 1] ?? '')?.[1]
  }
  for (const fields of [{ ':authority': 'www.example.com' }, { ':authority': 'WWW.example.com:443' }, { ':authority': 'internal', 'x-forwarded-host': 'www.example.com' }, {
    ':authority': 'internal',
    'forwarded': 'host=www.example.com',
  }]) {
    for (const body of [{ urls: ['https://www.example.com/a?b=c'] }, { prefixes: ['https://www.example.com/a'] }, { tags: ['größe'] }]) {
      await reason(fields)
      t.equal(await reason(fields), 'fresh')
      await house.purge(body)
      t.equal(await reason(fields), 'uri-miss', JSON.stringify([fields, body]))
    }
    await reason({ ':authority': 'www.example.com' }, 'DELETE')
    t.equal(await reason(fields), 'uri-miss', JSON.stringify(fields))
  }
})

// RFC 3986 §6.2.2: the key keeps the exact bytes, and purges compare the normal form.
t.test('a purge and an unsafe request reach every equivalent spelling of a target and a host', (t) =>
  onEachStore(t, () => page(), {}, async (t, { first, second }) => {
    const spellings = ['/caf%c3%a9/~a-b?q=%7e', '/caf%C3%A9/%7Ea%2Db?q=~', '/c%61f%C3%a9/~a-b?%71=~']
    const hosts = ['api.example.com', 'API.example.com', 'api.example.com.', 'api.example.com:80']
    const get = async (path: string, host: string): Promise<string | undefined> => detail(await ask(first.port, { path, headers: ['Host', host] }))
    const changes: readonly (readonly [string, () => Promise<unknown>])[] = [
      ...spellings.map((path) => [`PUT ${path}`, () => ask(second.port, { method: 'PUT', path, headers: ['Host', 'api.example.com.'], body: 'x' })] as const),
      ...spellings.map((path) => [`purge ${path}`, () => second.purge({ urls: [`https://api.example.com.${path}`] })] as const),
      ...spellings.map((path) => [`prefix ${path}`, () => second.purge({ prefixes: [`https://api.example.com:443${path.slice(0, 18)}`] })] as const),
      ['DELETE', () => ask(second.port, { method: 'DELETE', path: spellings[1] as string, headers: ['Host', 'Api.Example.Com:80'] })],
    ]
    for (const [what, change] of changes) {
      for (const path of spellings) for (const host of hosts) await get(path, host)
      await change()
      for (const path of spellings) t.equal(await get(path, 'api.example.com'), 'uri-miss', `${what}: ${path}`)
      for (const path of spellings) t.equal(await get(path, 'api.example.com.'), 'uri-miss', `${what}: ${path} with a final dot`)
    }
  }))
