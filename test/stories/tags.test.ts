// Tags: what the origin writes on a response is what purges, listings and explanations name.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { testCertificate } from '../support/certificate.ts'
import { adminSettings, counting, detail, startProxy } from '../support/proxy.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { onEachStore, utf8Bytes } from './replicas.ts'

interface Shown {
  readonly variants: readonly { readonly tags: readonly string[] }[]
  readonly entries: readonly { readonly tags: readonly string[] }[]
  readonly purges: readonly { readonly tags: readonly string[] }[]
  readonly decision: { readonly reason: string }
}

const json = (answer: { readonly body: Buffer }): Shown => JSON.parse(answer.body.toString()) as Shown

// The guard: tagText() in http/tags.ts.
const spellings: readonly (readonly [how: string, field: string, value: string, tag: string])[] = [
  ['UTF-8', 'Cache-Tag', utf8Bytes('größe'), 'größe'],
  ['UTF-8 beside ASCII', 'Cache-Tag', utf8Bytes('a, größe , b'), 'größe'],
  ['UTF-8 beyond latin1', 'Cache-Tag', utf8Bytes('сумка, 鞄'), '鞄'],
  ['UTF-8 with four bytes', 'Surrogate-Key', utf8Bytes('a 👜 b'), '👜'],
  ['UTF-8 that ends in a byte which is a space in latin1', 'Surrogate-Key', utf8Bytes('voilà là'), 'là'],
  ['latin1', 'Cache-Tag', 'größe', 'größe'],
  ['latin1 beside UTF-8', 'Cache-Tag', `gr\xf6\xdfe, ${utf8Bytes('maß')}`, 'größe'],
  ['UTF-8 beside latin1', 'Cache-Tag', `gr\xf6\xdfe, ${utf8Bytes('maß')}`, 'maß'],
]

for (const [how, field, value, tag] of spellings) {
  t.test(`a tag in ${how} is purged by its text, and shown as it`, (t) =>
    onEachStore(t, () => counting({ 'Cache-Control': 'max-age=600', [field]: value }), {}, async (t, { first, second }) => {
      await first.get('/a')
      await second.get('/a')
      t.ok(json(await first.admin('/v1/explain?url=http://api.example.com/a')).variants[0]?.tags.includes(tag))
      t.ok(json(await second.admin(`/v1/entries?tag=${encodeURIComponent(tag)}`)).entries[0]?.tags.includes(tag))
      t.equal((await second.purge({ tags: [tag] })).status, 200)
      for (const house of [first, second]) t.equal(json(await house.admin('/v1/explain?url=http://api.example.com/a')).decision.reason, 'uri-miss')
      t.equal((await first.get('/a')).body.toString(), 'answer 2')
      t.equal(json(await first.admin('/v1/purges')).purges[0]?.tags[0], tag)
      await second.purge({ tags: [tag, 'never'], tagsMatch: 'all' })
      t.equal((await first.get('/a')).body.toString(), 'answer 2', 'not all of its tags')
      await second.purge({ tags: [tag], tagsMatch: 'all', soft: true })
      t.equal(detail(await first.get('/a')), 'soft-purged')
    }))
}

t.test('a tag in UTF-8 from an HTTP/2 origin is purged by its text', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'springhouse-tags-'))
  writeFileSync(join(folder, 'ca.pem'), testCertificate)
  const origin = await startHttp2Origin((stream) => {
    stream.respond({ 'cache-control': 'max-age=600', 'cache-tag': utf8Bytes('größe, 鞄') })
    stream.end('page')
  })
  const house = await startProxy(t, {
    origin: () => undefined,
    config: { origins: { api: { servers: [origin.url], http2: true, tls: { ca: join(folder, 'ca.pem') } } }, routes: [{ origin: 'api' }] },
  })
  t.teardown(async () => {
    await origin.close()
    rmSync(folder, { recursive: true })
  })
  for (const tag of ['größe', '鞄']) {
    await house.get('/a')
    t.equal(detail(await house.get('/a')), 'fresh')
    await house.purge({ tags: [tag] })
    t.equal(detail(await house.get('/a')), 'uri-miss')
  }
})

// The guards: cache.tags.fields in config/schema/storage.ts, and readings() in http/tags.ts.
const carried: readonly (readonly [field: string, value: string, tags: readonly string[]])[] = [
  ['Surrogate-Key', '/a, /b', ['/a', '/b']],
  ['Surrogate-Key', '/a,/b', ['/a', '/b', '/a,/b']],
  ['Surrogate-Key', '/a /b', ['/a', '/b']],
  ['xkey', '/a, /b', ['/a', '/b']],
  ['Cache-Tag', '/a, /b', ['/a', '/b']],
  ['Cache-Tag', 'a b, c', ['a b', 'c']],
  ['Cache-Tags', '/a,/b', ['/a', '/b']],
  ['Edge-Cache-Tag', '/a, /b', ['/a', '/b']],
  ['X-Magento-Tags', 'cat_p_1,cat_p,store', ['cat_p_1', 'cat_p', 'store']],
  ['Cache-Groups', '"/a", "b, c"', ['/a', 'b, c']],
]

for (const [field, value, tags] of carried) {
  t.test(`${field}: ${value} carries ${tags.join(' and ')}`, async (t) => {
    const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', [field]: value }) })
    for (const tag of tags) {
      t.equal((await house.get('/a')).header(field.toLowerCase()), field === 'Cache-Groups' ? value : undefined, 'for this cache alone')
      t.equal(detail(await house.get('/a')), 'fresh')
      await house.purge({ tags: [tag] })
      t.equal(detail(await house.get('/a')), 'uri-miss', tag)
    }
    t.equal((await house.get('/a')).header(field.toLowerCase()), field === 'Cache-Groups' ? value : undefined, 'nor on a hit')
  })
}

const own = (separator: string, forward = false): object => ({ cache: { tags: { fields: [{ name: 'X-Own', separator }], forward } } })

t.test('the fields that carry tags are those of the configuration, parted as it says', (t) =>
  onEachStore(t, () => counting({ 'Cache-Control': 'max-age=600', 'X-Own': 'a, b c', 'Cache-Tag': 'd' }), { ...own('both') }, async (t, { first, second }) => {
    for (const [tag, reason] of [['a', 'uri-miss'], ['b', 'uri-miss'], ['c', 'uri-miss'], ['b c', 'fresh'], ['d', 'fresh']] as const) {
      t.equal((await first.get('/a')).header('x-own'), undefined)
      t.equal((await second.get('/a')).header('cache-tag'), 'd', 'no tag field here')
      await second.purge({ tags: [tag] })
      t.equal(detail(await first.get('/a')), reason, tag)
    }
  }))

// The guard: compileTags() in policy/rules.ts.
t.test('with cache.tags.forward, a CDN in front receives the tags: of a miss, a hit, a refresh by 304, and a passed response', (t) =>
  onEachStore(t, () => (request, response) => {
    const fields = { 'Cache-Control': 'max-age=600', 'Cache-Tag': 'a, b', 'xkey': 'c', 'Surrogate-Control': 'max-age=900', 'ETag': '"1"' }
    if (request.headers['if-none-match'] === undefined) response.writeHead(200, fields).end('page')
    else response.writeHead(304, { ETag: '"1"' }).end()
  }, { cache: { tags: { forward: true } } }, async (t, { first, second }) => {
    const shown = async (house: typeof first, options = {}): Promise<unknown> => {
      const answer = await house.get('/a', {}, options)
      return [detail(answer), answer.header('cache-tag'), answer.header('xkey'), answer.header('surrogate-control')]
    }
    t.same(await shown(first), ['uri-miss', 'a, b', 'c', undefined])
    t.same(await shown(second), ['fresh', 'a, b', 'c', undefined])
    await second.purge({ tags: ['b'], soft: true })
    t.same(await shown(first), ['soft-purged', 'a, b', 'c', undefined])
    t.same(await shown(second), ['fresh', 'a, b', 'c', undefined])
    await first.purge({ tags: ['c'] })
    t.same(await shown(second), ['uri-miss', 'a, b', 'c', undefined], 'it still has its tags')
    t.same(await shown(first, { method: 'POST', body: 'x' }), ['method', 'a, b', 'c', undefined])
  }))

t.test('after a change of the tag fields nothing is served that a purge by the new ones would miss', async (t) => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', 'X-Own': 'a', 'Cache-Tag': 'a' }) })
  await house.get('/a')
  t.equal(detail(await house.get('/a')), 'fresh')
  await house.app.reload(resolveConfig({
    proxy: { host: '127.0.0.1', port: 0 },
    admin: adminSettings,
    origins: { api: { servers: [house.origin.url] } },
    routes: [{ match: {}, origin: 'api', cache: {} }],
    ...own('comma'),
  }))
  t.equal(detail(await house.get('/a')), 'uri-miss')
  await house.purge({ tags: ['a'] })
  t.equal(detail(await house.get('/a')), 'uri-miss')
})

// The guard: `fault` of responseTags() in http/tags.ts.
for (const [value, reason] of [['a, b', 'bad-cache-groups'], ['"a", 5', 'bad-cache-groups'], [utf8Bytes('"größe"'), 'bad-cache-groups'], [`"${'x'.repeat(1025)}"`, 'too-many-tags'],
  ['"a"', 'uri-miss']] as const) {
  t.test(`Cache-Groups: ${value.slice(0, 20)} gives the reason ${reason}`, async (t) => {
    const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', 'Cache-Groups': value }) })
    t.equal(detail(await house.get('/a')), reason)
    t.equal((await house.get('/a')).body.toString(), reason === 'uri-miss' ? 'answer 1' : 'answer 2')
  })
}

// The guard: the format `tag` in admin/validation.ts.
t.test('a tag that no response can carry is refused, with its place, and nothing is purged', async (t) => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', 'Cache-Tag': 'a' }) })
  await house.get('/a')
  const wrong: readonly (readonly [string, RegExp])[] = [
    [' a', /^begins or ends with a space or tab/],
    ['a ', /^begins or ends/],
    ['a\t', /^begins or ends/],
    ['a\n', /U\+000A, character 2/],
    ['\0a', /U\+0000, character 1/],
    ['a\x7fb', /U\+007F, character 2/],
    ['a\ud800', /half a surrogate pair/],
    ['', /must not be empty/],
  ]
  for (const [tag, message] of wrong) {
    const answer = await house.purge({ tags: ['a', tag], urls: ['/a'] })
    t.equal(answer.status, 400, JSON.stringify(tag))
    const { errors } = JSON.parse(answer.body.toString()) as { errors: readonly { path: string; message: string }[] }
    t.equal(errors.length, 1)
    t.equal(errors[0]?.path, 'tags[1]')
    t.match(errors[0]?.message, message)
    if (tag !== '' && !tag.includes('\ud800')) t.equal((await house.admin(`/v1/entries?tag=${encodeURIComponent(tag)}`)).status, 400, 'nor is it looked for')
  }
  t.equal(detail(await house.get('/a')), 'fresh')
})
