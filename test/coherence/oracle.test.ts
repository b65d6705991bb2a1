// The oracle can fail: histories that break the promise, beside the most similar ones that keep it.
import t from 'tap'
import { Oracle, type Generated, type Named, type Seen } from './oracle.ts'
import { Random } from './random.ts'
import { bodyName, bodyOf, etagOf, resourceByPath, resources, versionOf, type Resource } from './resources.ts'

const long = resourceByPath.get('/a/long') as Resource
const nothing: Named = { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false }
const made = (generation: number, tags: readonly string[] = []): Generated => ({ generation, path: '/a/long', version: 1, tags })

/** A response with the body of generation 10, requested at moment 100 by default. */
function seen(more: Partial<Seen> = {}): Seen {
  return { resource: long, sent: 100, counterAtSend: 50, noCache: false, status: 200, made: made(10), lastHeardOf: 10, detail: 'fresh', ...more }
}

/** Judges a response after one purge, with a floor of 20, confirmed at moment 90 by default. */
function after(named: Partial<Named>, answer: Partial<Seen> = {}, confirmed: number | undefined = 90): string | undefined {
  const oracle = new Oracle()
  const purge = oracle.sent({ ...nothing, ...named }, 20)
  if (confirmed !== undefined) oracle.confirmed(purge, confirmed)
  return oracle.judge(seen(answer))?.rule
}

const served = 'a response from before a purge was served after it'
const asFresh = 'a response from before a soft purge was served after it as if fresh'

void t.test('the subject of a purge is not served after it', async (test) => {
  const red = { made: made(10, ['red', 'green']) }
  test.equal(after({ urls: ['/a/long'] }), served)
  test.equal(after({ prefixes: ['/a/'] }), served)
  test.equal(after({ all: true }), served)
  test.equal(after({ tags: ['blue', 'red'] }, red), served)
  test.equal(after({ tags: ['green', 'red'], tagsMatch: 'all' }, red), served)
  test.equal(after({ all: true }, { status: 304, lastHeardOf: undefined }), served)
  test.equal(after({ all: true }, { detail: 'stale-while-revalidate' }), served, 'stale or not')
  test.equal(after({ all: true }, { lastHeardOf: 30 }), served, 'a 304 after it does not bring it back')
})

void t.test('responses that a purge does not name, or cannot mean, are served', async (test) => {
  const red = { made: made(10, ['red']) }
  test.equal(after({ urls: ['/a/long-weak'] }), undefined)
  test.equal(after({ prefixes: ['/b/'] }), undefined)
  test.equal(after({ tags: ['blue'] }, red), undefined)
  test.equal(after({ tags: ['blue', 'red'], tagsMatch: 'all' }, red), undefined)
  test.equal(after({ all: true }, { made: made(21), lastHeardOf: 21 }), undefined, 'generated after it was sent')
  test.equal(after({ all: true }, { made: made(20) }), served, 'and not after it')
  test.equal(after({ all: true }, { sent: 89 }), undefined, 'asked for before it was confirmed')
})

void t.test('a purge that was not confirmed promises nothing', async (test) => {
  const oracle = new Oracle()
  oracle.sent({ ...nothing, all: true }, 20)
  test.equal(oracle.judge(seen()), undefined)
  test.equal(oracle.judgedByPurge, 0)
})

void t.test('the subject of a soft purge is served as stale, or confirmed again, or not at all', async (test) => {
  const soft = { all: true, soft: true }
  test.equal(after(soft), asFresh)
  test.equal(after(soft, { detail: 'max-stale' }), asFresh)
  test.equal(after(soft, { lastHeardOf: 20 }), asFresh, 'confirmed, but before it')
  for (const detail of ['stale-while-revalidate', 'stale-if-error', 'origin-unreachable', 'origin-5xx']) test.equal(after(soft, { detail }), undefined)
  test.equal(after(soft, { lastHeardOf: 21 }), undefined)
})

void t.test('a purge that may not have been recorded does not hide one that was, in either order', async (test) => {
  const oracle = new Oracle()
  const certain = oracle.sent({ ...nothing, all: true }, 20)
  const doubtful = oracle.sent({ ...nothing, all: true }, 15, '/a/long?post=1')
  const later = oracle.sent({ ...nothing, all: true }, 30, '/a/long?post=2')
  for (const purge of [doubtful, later]) oracle.confirmed(purge, 90)
  test.equal(oracle.judge(seen())?.purge, later)
  test.equal(oracle.judge(seen({ made: made(16), lastHeardOf: 16 }))?.purge, later)
  oracle.confirmed(certain, 90)
  test.equal(oracle.judge(seen())?.purge, certain)
})

void t.test('a purge that one replica promises alone holds for that one', async (test) => {
  const oracle = new Oracle()
  oracle.confirmed(oracle.sent({ ...nothing, all: true }, 20, undefined, 'r1'), 90)
  test.equal(oracle.judge(seen({ replica: 'r1' }))?.rule, served)
  test.equal(oracle.judge(seen({ replica: 'r2' })), undefined)
})

void t.test('a response for one user is made for each request, and no-cache reaches the origin', async (test) => {
  const oracle = new Oracle()
  const own = resourceByPath.get('/c/private') as Resource
  test.match(oracle.judge(seen({ resource: own })), { rule: /one client alone/ })
  test.equal(oracle.judge(seen({ resource: own, made: made(51), lastHeardOf: 51 })), undefined)
  test.match(oracle.judge(seen({ noCache: true })), { rule: /no-cache/ })
  test.equal(oracle.judge(seen({ noCache: true, lastHeardOf: 51 })), undefined)
})

void t.test('every byte of a body follows from its owner', async (test) => {
  for (const { path } of resources) {
    const name = { path, variant: 'sweet', stamp: 12_345 }
    const body = bodyOf(name)
    test.same(bodyName(body), name)
    for (const other of [{ ...name, variant: 'sour' }, { ...name, stamp: 12_346 }, { ...name, stamp: 12_345 + 97 }]) test.notOk(body.equals(bodyOf(other)))
  }
  test.equal(bodyName(Buffer.from('something else')), undefined)
  test.equal(versionOf(etagOf(resourceByPath.get('/a/strong') as Resource, 7, '-')), 7)
  test.equal(versionOf(etagOf(resourceByPath.get('/a/short') as Resource, 7, '-')), 7)
  test.equal(versionOf('"other"'), undefined)
})

void t.test('the same seed chooses the same, and each actor for itself', async (test) => {
  const draw = (random: Random): number[] => Array.from({ length: 5 }, () => random.between(0, 1000))
  const [one, two] = [new Random(7), new Random(7)]
  draw(one.fork('a'))
  test.same(draw(one.fork('b')), draw(two.fork('b')))
  test.not(JSON.stringify(draw(one.fork('a'))), JSON.stringify(draw(one.fork('b'))))
})
