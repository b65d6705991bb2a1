// Vary: a response without it, or with part of it, never takes the place of those that name the fields which select them.
import t from 'tap'
import { eventually } from '../support/log.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore, told } from './fleet.ts'
import { story } from './site.ts'

t.setTimeout(240_000)

const minute = { 'cache-control': 'max-age=60' }

/** An origin that permits a and b, and names Origin in Vary for these alone. */
function cors(always: Readonly<Record<string, string>> = {}): () => OriginHandler {
  return () => (request, response) => {
    const { origin } = request.headers
    const permitted = origin === 'https://a.example' || origin === 'https://b.example'
    const vary = [...Object.values(always), ...(permitted ? ['Origin'] : [])].join(', ')
    response.writeHead(200, { ...minute, ...(vary !== '' && { vary }), ...(permitted && { 'access-control-allow-origin': origin }) }).end('page')
  }
}

const [fromA, fromB, fromEvil] = ['a', 'b', 'evil'].map(name => ({ Origin: `https://${name}.example` })) as [{ Origin: string }, { Origin: string }, { Origin: string }]
const acao = 'access-control-allow-origin'

// RFC 9111 §4.1. The guard: knowsAllFields() in policy/vary.ts.
for (const [name, always] of [['no Vary', {}], ['another Vary', { vary: 'Accept-Language' }]] as const) {
  everyStore.test(`where Origin is not permitted the response has ${name}: each client gets the response to its own Origin`, cors(always), async (test, { a, b, asked }) => {
    test.equal((await a.get('/a', fromA)).header(acao), fromA.Origin)
    test.equal((await b.get('/a')).header(acao), undefined)
    const third = await a.get('/a', fromA)
    test.equal(third.header(acao), fromA.Origin)
    test.equal(told(third), 'page fresh', 'it is a hit')
    test.equal(told(await b.get('/a', fromA)), 'page fresh')
    test.equal(told(await a.get('/a')), 'page fresh', 'and so is the response without Origin')
    test.equal(asked(), 2)
    test.equal((await b.get('/a', fromB)).header(acao), fromB.Origin, 'an Origin that is new is not given the response without')
    test.equal((await a.get('/a', fromEvil)).header(acao), undefined)
    test.equal(told(await b.get('/a', fromEvil)), 'page fresh', 'nor is one that is refused fetched again and again')
    test.equal(told(await a.get('/a', fromB)), 'page fresh')
    test.equal(asked(), 4)
  })
}

t.test('the response to a preference stays when one without Vary is stored after it', async test => {
  const site = await story(test, [{ fields: { ...minute, vary: 'Accept' }, body: 'json' }, { fields: minute, body: 'default' }, { fields: minute, body: 'csv' }])
  test.equal(site.tell(await site.get('/a', { Accept: 'application/json' })), '200 json uri-miss')
  test.equal(site.tell(await site.get('/a')), '200 default vary-miss')
  test.equal(site.tell(await site.get('/a', { Accept: 'application/json' })), '200 json fresh')
  test.equal(site.tell(await site.get('/a', { Accept: 'text/csv' })), '200 csv vary-miss')
  test.equal(site.tell(await site.get('/a')), '200 default fresh')
})

// The guard: #forgetAll in exchange/fill/response-storer.ts, without which b goes on serving its own copy.
everyStore.test('a copy that another replica made before Vary was known is not served any more', cors(), async (test, { a, b, asked }) => {
  await b.get('/a')
  test.equal(told(await b.get('/a')), 'page fresh')
  test.equal((await a.get('/a', { ...fromA, 'Cache-Control': 'no-cache' })).header(acao), fromA.Origin)
  await eventually(async () => (await b.get('/a', fromA)).header(acao) === fromA.Origin)
  test.equal((await b.get('/a', fromB)).header(acao), fromB.Origin)
  test.equal(asked(), 3)
})

// The guard: #forgetOutdated in exchange/fill/response-storer.ts, and `others` of a writer.
for (const first of ['with Vary', 'without Vary'] as const) {
  let held = new Map<string, () => void>()
  everyStore.test(`two fetches at once do not know of each other, and the response ${first} is stored first`, () => {
    held = new Map()
    const origin = cors()()
    return (request, response, recorded) => {
      const respond = (): unknown => origin(request, response, recorded)
      if (held.size < 2) held.set(request.headers.origin === undefined ? 'without Vary' : 'with Vary', respond)
      else respond()
    }
  }, async (test, { a, b }) => {
    const answers = { 'with Vary': a.get('/a', fromA), 'without Vary': b.get('/a') }
    await eventually(() => held.size === 2)
    held.get(first)?.()
    await answers[first]
    const second = first === 'with Vary' ? 'without Vary' : 'with Vary'
    held.get(second)?.()
    await answers[second]
    await eventually(async () => (await b.get('/a', fromA)).header(acao) === fromA.Origin)
    for (const each of [a, b]) {
      test.equal((await each.get('/a', fromA)).header(acao), fromA.Origin)
      test.equal((await each.get('/a', fromB)).header(acao), fromB.Origin)
      test.equal((await each.get('/a')).header(acao), undefined)
    }
    test.equal(told(await b.get('/a')), 'page fresh')
  }, { config: { cache: { coalesce: false } } })
}

everyStore.test('a range of what varies is selected in the same way', cors(), async (test, { a, b }) => {
  await a.get('/a', fromA)
  await b.get('/a')
  const part = await a.get('/a', { ...fromA, Range: 'bytes=0-1' })
  test.equal(part.header(acao), fromA.Origin)
  test.equal((await b.get('/a', { ...fromB, Range: 'bytes=0-1' })).header(acao), fromB.Origin)
  test.equal((await b.get('/a', fromA, { method: 'HEAD' })).header(acao), fromA.Origin)
})

// The guard: `known` in freshenFrom304 (exchange/fill/freshen.ts).
everyStore.test('a response that took over a name keeps it when a 304 confirms it', () => (request, response) => {
  const { accept } = request.headers
  const fields = { 'cache-control': 'max-age=1', 'etag': `"${accept}"` }
  if (request.headers['if-none-match'] !== undefined) response.writeHead(304, fields).end()
  else response.writeHead(200, { ...fields, ...(accept !== undefined && { vary: 'Accept' }) }).end(`as ${accept}`)
}, async (test, { a, b, advance, asked }) => {
  await a.get('/a', { Accept: 'text/html' })
  test.equal(told(await b.get('/a')), 'as undefined vary-miss')
  await advance(3_000)
  test.equal(told(await b.get('/a')), 'as undefined stale')
  await advance(3_000)
  test.equal((await a.get('/a', { Accept: 'text/html' })).body.toString(), 'as text/html')
  test.equal((await a.get('/a', { Accept: 'text/plain' })).body.toString(), 'as text/plain')
  test.equal((await b.get('/a')).body.toString(), 'as undefined')
  test.equal(asked(), 6)
})

// The guard: `knownFields` counts what a response's own Vary names, and not what it took over.
everyStore.test('names are forgotten with the last response whose Vary names them', () => {
  let varies = true
  return (request, response) => {
    if (request.url === '/stop') varies = false
    response.writeHead(200, { ...minute, ...(varies && { vary: 'Accept' }) }).end('page')
  }
}, async (test, { a, b, purge, asked }) => {
  await a.get('/a', { Accept: 'text/html' })
  await a.get('/stop')
  test.equal(told(await b.get('/a', { Accept: 'text/plain' })), 'page vary-miss')
  await purge({ urls: ['http://api.example.com/a'] })
  test.equal(told(await b.get('/a', { Accept: 'text/plain' })), 'page uri-miss')
  test.equal(told(await a.get('/a', { Accept: 'text/html' })), 'page fresh')
  test.equal(asked(), 4)
})
