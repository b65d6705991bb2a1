// Records that another version wrote: what a build cannot read costs hits, and never lets a purged response live.
import t from 'tap'
import { decodeRecords, decodeUnsafeRecords, encodeInvalidation, encodePurge } from '../../src/store/redis/purge-log/record.ts'

const purge = { urls: [{ authority: 'a.example', target: '/a' }], prefixes: [], tags: ['t'], tagsMatch: 'any', all: false, soft: true } as const

const read = (json: string) => decodeRecords([['1-0', ['log', 'id', 'before', '0-1', 'name', 'n', 'purge', json]]])[0]?.purge
const readUnsafe = (json: string) => decodeUnsafeRecords([['1-0', ['log', 'id', 'name', 'n', 'unsafe', json]]], '0-0')[0]?.invalidation

// Fails without `hasOnly` in record.ts.
t.test('a purge of another version purges everything, hard, unless this version knows each of its members', async t => {
  t.strictSame(read(encodePurge(purge)), purge)
  const own = JSON.parse(encodePurge(purge)) as Record<string, unknown>
  const others: readonly unknown[] = [
    { ...own, patterns: ['/x/*'] },
    { ...own, urls: [], tags: [], hosts: ['a.example'] },
    { ...own, urls: [{ target: '/a', method: 'HEAD' }] },
    { ...own, tagsMatch: 'none' },
    { ...own, soft: 'later' },
    { v: 2, purge: own },
    [own],
    'text',
    null,
    1,
  ]
  for (const other of others) t.match(read(JSON.stringify(other)), { all: true, soft: false }, JSON.stringify(other))
  for (const text of ['', '{', '\u0000\u0001']) t.match(read(text), { all: true, soft: false })
})

t.test('an invalidation of another version does so too', async t => {
  const [json] = encodeInvalidation({ names: ['a'], buckets: [1] })
  t.strictSame(readUnsafe(json), { names: ['a'], buckets: [1] })
  for (const other of [{ names: ['a'], buckets: [1], except: ['b'] }, { names: ['a'] }, { groups: ['a'] }, null, 'text'])
    t.match(readUnsafe(JSON.stringify(other)), { all: true, soft: false }, JSON.stringify(other))
})
