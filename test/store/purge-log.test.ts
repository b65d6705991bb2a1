// The meaning of purges, over the log of a single process, and how many are remembered.
import * as fc from 'fast-check'
import t from 'tap'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import type { Purge, PurgeLog, UrlPattern, Verdict } from '../../src/store/purge/log.ts'
import { PurgeTable } from '../../src/store/purge/table.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'

interface Entry {
  readonly stamp: string
  readonly authority: string
  readonly target: string
  readonly tags: readonly string[]
}

function entry(log: PurgeLog, changes: Partial<Entry> = {}): Entry {
  return { stamp: log.applied, authority: 'a.example', target: '/v1/things?page=1', tags: ['things', 'thing-1'], ...changes }
}

function local(): PurgeLog {
  return createLocalPurgeLog({ clock: manualClock() })
}

void t.test('an entry is valid until a purge that matches it', async (test) => {
  const log = local()
  const before = entry(log)
  test.equal(log.judge(before), 'valid')
  const revision = log.revision
  const receipt = await log.append(purge({ tags: ['other'] }), 0)
  test.ok(log.revision > revision)
  test.equal(log.applied, receipt.id)
  test.same(receipt, { id: log.applied, soft: false, replicas: { live: 1, acknowledged: 1 }, copied: true })
  test.equal(log.judge(before), 'valid')
  await log.append(purge({ tags: ['thing-1'] }), 0)
  test.equal(log.judge(before), 'dead')
  test.equal(log.judge(entry(log)), 'valid', 'a later request is not touched')
})

void t.test('a purge wins over a fill that was in flight', async (test) => {
  const log = local()
  const asked = entry(log)
  await log.append(purge({ urls: [{ authority: undefined, target: asked.target }] }), 0)
  test.equal(log.judge(asked), 'dead', 'though it is stored only now')
})

const matching: readonly [name: string, changes: Partial<Purge>, verdict: Verdict][] = [
  ['its URL', { urls: [{ authority: 'a.example', target: '/v1/things?page=1' }] }, 'dead'],
  ['its URL on any host', { urls: [{ authority: undefined, target: '/v1/things?page=1' }] }, 'dead'],
  ['its path on another host', { urls: [{ authority: 'b.example', target: '/v1/things?page=1' }] }, 'valid'],
  ['the beginning of its URL, as a URL', { urls: [{ authority: 'a.example', target: '/v1/things' }] }, 'valid'],
  ['a prefix of its URL', { prefixes: [{ authority: 'a.example', target: '/v1/thi' }] }, 'dead'],
  ['a prefix on any host', { prefixes: [{ authority: undefined, target: '/v1/' }] }, 'dead'],
  ['a prefix that is all of its host', { prefixes: [{ authority: 'a.example', target: '/' }] }, 'dead'],
  ['an empty prefix of its host', { prefixes: [{ authority: 'a.example', target: '' }] }, 'dead'],
  ['a prefix on another host', { prefixes: [{ authority: 'b.example', target: '/' }] }, 'valid'],
  ['a prefix that is its URL', { prefixes: [{ authority: undefined, target: '/v1/things?page=1' }] }, 'dead'],
  ['a prefix that is longer than its URL', { prefixes: [{ authority: undefined, target: '/v1/things?page=10' }] }, 'valid'],
  ['a prefix in other letters', { prefixes: [{ authority: undefined, target: '/V1/' }] }, 'valid'],
  ['one of its tags', { tags: ['nothing', 'things'] }, 'dead'],
  ['a tag in other letters', { tags: ['Things'] }, 'valid'],
  ['all of its tags', { tags: ['thing-1', 'things'], tagsMatch: 'all' }, 'dead'],
  ['all of several tags, one of which it lacks', { tags: ['things', 'nothing'], tagsMatch: 'all' }, 'valid'],
  ['all of one tag', { tags: ['things'], tagsMatch: 'all' }, 'dead'],
  ['everything', { all: true }, 'dead'],
  ['no tag, and another URL', { tags: ['x'], urls: [{ authority: undefined, target: '/' }] }, 'valid'],
  ['another tag, but its URL', { tags: ['x'], urls: [{ authority: undefined, target: '/v1/things?page=1' }] }, 'dead'],
]

for (const [name, changes, verdict] of matching) {
  void t.test(`a purge of ${name}: ${verdict}`, async (test) => {
    const log = local()
    const before = entry(log)
    await log.append(purge(changes), 0)
    test.equal(log.judge(before), verdict)
    const soft = local()
    const beforeSoft = entry(soft)
    await soft.append(purge({ ...changes, soft: true }), 0)
    test.equal(soft.judge(beforeSoft), verdict === 'dead' ? 'stale' : 'valid')
  })
}

void t.test('a hard purge outweighs a soft one, whichever came first', async (test) => {
  for (const order of [[true, false], [false, true]]) {
    const log = local()
    const before = entry(log)
    for (const soft of order) await log.append(purge({ tags: ['things'], soft }), 0)
    test.equal(log.judge(before), 'dead')
  }
  const log = local()
  await log.append(purge({ tags: ['things'] }), 0)
  const between = entry(log)
  await log.append(purge({ tags: ['things'], soft: true }), 0)
  test.equal(log.judge(between), 'stale')
})

void t.test('no new request may share a fetch that a purge may match while its tags are unknown', async (test) => {
  const log = local()
  const began = log.applied
  test.equal(log.mayMatch(began, { authority: 'a.example', target: '/x' }), false)
  await log.append(purge({ urls: [{ authority: undefined, target: '/y' }] }), 0)
  test.equal(log.mayMatch(began, { authority: 'a.example', target: '/x' }), false)
  test.equal(log.mayMatch(began, { authority: 'a.example', target: '/y' }), true)
  test.equal(log.mayMatch(log.applied, { authority: 'a.example', target: '/y' }), false)
  const later = log.applied
  await log.append(purge({ tags: ['any at all'], soft: true }), 0)
  test.equal(log.mayMatch(later, { authority: 'a.example', target: '/x' }), true, 'any tag may be one of its tags')
  const latest = log.applied
  await log.append(purge({ prefixes: [{ authority: 'a.example', target: '/x' }] }), 0)
  test.equal(log.mayMatch(latest, { authority: 'a.example', target: '/x/1' }), true)
  test.equal(log.mayMatch(latest, { authority: 'b.example', target: '/x/1' }), false)
})

void t.test('an entry may outlive one record, if none that matches it came before that one', async (test) => {
  const log = local()
  const born = entry(log)
  const { id: other } = await log.append(purge({ tags: ['other'] }), 0)
  const { id: own } = await log.append(purge({ urls: [{ authority: 'a.example', target: born.target }] }), 0)
  test.equal(log.matchedBetween(born, own), false)
  test.equal(log.matchedBetween(born, other), false)
  test.equal(log.judge({ ...born, stamp: own }), 'valid')
  const { id: second } = await log.append(purge({ urls: [{ authority: 'a.example', target: born.target }] }), 0)
  test.equal(log.matchedBetween(born, second), true, 'though only the last record of a URL is in the index')
  test.equal(log.matchedBetween(born, own), false)
  test.equal(log.matchedBetween(born, `${second}0`), true, 'a record that has not been applied: nobody knows')
  const table = new PurgeTable()
  table.begin('one.', 'one.1')
  test.equal(table.touchedBefore({ ...born, stamp: 'two.1' }, 'one.1'), true, 'another log: nobody knows')
})

void t.test('the latest records come newest first', async (test) => {
  const log = createLocalPurgeLog({ clock: manualClock(5000) })
  for (const tag of ['a', 'b', 'c']) await log.append(purge({ tags: [tag] }), 0)
  test.same(log.recent(2).map((record) => record.purge.tags), [['c'], ['b']])
  test.equal(log.recent(1)[0]?.atMs, 5000)
  test.same(log.recent(0), [])
  test.ok(log.isCaughtUp())
  test.same(await log.replicas(), [{ id: 'local', applied: log.applied }])
  await log.close()
})

function stamp(number: number): string {
  return String(number).padStart(8, '0')
}

void t.test('the remembered records are bounded; an entry stamped before the oldest of them is dead', async (test) => {
  const table = new PurgeTable({ maxRecords: 3 })
  table.begin('', stamp(0))
  const judge = (from: number): Verdict => table.judge({ stamp: stamp(from), authority: 'a', target: '/', tags: [] })
  for (let i = 1; i <= 3; i++) table.apply({ id: stamp(i), atMs: i, purge: purge({ tags: [`t${i}`] }) })
  test.equal(judge(0), 'valid')
  table.apply({ id: stamp(4), atMs: 4, purge: purge({ tags: ['t4'] }) })
  test.equal(judge(0), 'dead')
  test.equal(judge(1), 'valid')
  test.equal(table.mayTouch(stamp(0), { authority: 'a', target: '/' }), true)
  test.equal(table.records.length, 3)
})

void t.test('records older than any entry can be are dropped', async (test) => {
  const table = new PurgeTable({ maxKeepMs: 1000 })
  table.begin('', stamp(0))
  table.apply({ id: stamp(1), atMs: 10, purge: purge({ tags: ['t'] }) })
  table.apply({ id: stamp(2), atMs: 1010, purge: purge({ tags: ['u'] }) })
  test.equal(table.records.length, 2)
  table.apply({ id: stamp(3), atMs: 1011, purge: purge({ tags: ['u'] }) })
  test.same(table.records.map((record) => record.id), [stamp(2), stamp(3)])
  test.equal(table.judge({ stamp: stamp(1), authority: '', target: '', tags: ['t'] }), 'valid')
})

void t.test('an entry of another log is dead', async (test) => {
  const table = new PurgeTable()
  table.begin('one.', 'one.1')
  test.equal(table.judge({ stamp: 'one.1', authority: '', target: '', tags: [] }), 'valid')
  test.equal(table.judge({ stamp: 'two.1', authority: '', target: '', tags: [] }), 'dead')
  test.equal(table.judge({ stamp: '', authority: '', target: '', tags: [] }), 'dead')
})

// Compares the index with a direct reading of the definition.
void t.test('the index gives the same result as all records one by one', async (test) => {
  const part = fc.constantFrom('a', 'b', 'c')
  const target = fc.array(part, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`)
  const pattern: fc.Arbitrary<UrlPattern> = fc.record({ authority: fc.constantFrom('h', 'i', 'i.', 'i:443', 'h.:80', undefined), target })
  const anyPurge: fc.Arbitrary<Purge> = fc.record({
    urls: fc.array(pattern, { maxLength: 2 }),
    prefixes: fc.array(pattern, { maxLength: 2 }),
    tags: fc.array(part, { maxLength: 3 }),
    tagsMatch: fc.constantFrom('any', 'all'),
    all: fc.integer({ min: 0, max: 15 }).map((n) => n === 0),
    soft: fc.boolean(),
  })
  const anyEntry = fc.record({ authority: fc.constantFrom('h', 'i', 'h.', 'i:80'), publicHosts: fc.constantFrom([], ['h'], ['x', 'i']), target,
    tags: fc.array(part, { maxLength: 3 }), from: fc.nat(12) })
  fc.assert(
    fc.property(fc.array(anyPurge, { maxLength: 12 }), fc.array(anyEntry, { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 20 }), (purges, entries, maxRecords) => {
      const table = new PurgeTable({ maxRecords })
      table.begin('', stamp(0))
      for (const [i, each] of purges.entries()) table.apply({ id: stamp(i + 1), atMs: i, purge: each })
      for (const { from, ...each } of entries) {
        const later = purges.slice(from).filter((one) => matches(one, each))
        const forgotten = from < purges.length - maxRecords
        const expected = forgotten || later.some((one) => !one.soft) ? 'dead' : later.length > 0 ? 'stale' : 'valid'
        test.equal(table.judge({ ...each, stamp: stamp(from) }), expected)
        if (expected !== 'valid') test.ok(table.mayTouch(stamp(from), each), 'what is touched may be touched')
        for (let until = from + 1; until <= purges.length; until++) {
          const between = forgotten || purges.slice(from, until - 1).some((one) => matches(one, each))
          test.equal(table.touchedBefore({ ...each, stamp: stamp(from) }, stamp(until)), between)
        }
      }
    }),
    { numRuns: 400 },
  )
})

function matches(one: Purge, each: { authority: string; publicHosts: readonly string[]; target: string; tags: readonly string[] }): boolean {
  // The hosts of the property are one letter, with a final dot or a default port.
  const hosts = new Set([each.authority, ...each.publicHosts].map((host) => host[0]))
  const here = (pattern: UrlPattern): boolean => pattern.authority === undefined || hosts.has(pattern.authority[0])
  const tagged = one.tagsMatch === 'any'
    ? one.tags.some((tag) => each.tags.includes(tag))
    : one.tags.length > 0 && one.tags.every((tag) => each.tags.includes(tag))
  return one.all || tagged || one.urls.some((url) => here(url) && url.target === each.target) ||
    one.prefixes.some((prefix) => here(prefix) && each.target.startsWith(prefix.target))
}
