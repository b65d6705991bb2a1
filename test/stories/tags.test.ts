// Tags: what the origin writes on a response is what purges, listings and explanations name.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { testCertificate } from '../support/certificate.ts'
import { counting, detail, startHouse } from '../support/house.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { onEachStore, utf8Bytes } from './replicas.ts'

const json = (answer: { readonly body: Buffer }): any => JSON.parse(answer.body.toString())

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
  t.test(`a tag in ${how} is purged by its text, and shown as it`, (t) => onEachStore(t, () => counting({ 'Cache-Control': 'max-age=600', [field]: value }), {}, async (t, { first, second }) => {
    await first.get('/a')
    await second.get('/a')
    t.ok(json(await first.admin('/v1/explain?url=http://api.example.com/a')).variants[0].tags.includes(tag))
    t.ok(json(await second.admin(`/v1/entries?tag=${encodeURIComponent(tag)}`)).entries[0].tags.includes(tag))
    t.equal((await second.purge({ tags: [tag] })).status, 200)
    for (const house of [first, second]) t.equal(json(await house.admin(`/v1/explain?url=http://api.example.com/a`)).decision.reason, 'uri-miss')
    t.equal((await first.get('/a')).body.toString(), 'answer 2')
    t.equal(json(await first.admin('/v1/purges')).purges[0].tags[0], tag)
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
  const house = await startHouse(t, {
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
