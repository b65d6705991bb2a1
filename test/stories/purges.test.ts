// A purge that gets 200 reaches what the operator named, in every spelling that clients use.
import t from 'tap'
import { counting, startHouse } from '../support/house.ts'
import { onEachStore } from './replicas.ts'

const page = (tags = ''): ReturnType<typeof counting> => counting({ 'Cache-Control': 'max-age=600', 'ETag': '"1"', 'Vary': 'Accept', ...(tags !== '' && { 'Cache-Tag': tags }) })

const matched = (answer: { readonly body: Buffer }): unknown => (JSON.parse(answer.body.toString()) as { matched: unknown }).matched

// The guard: countMatched() in admin/matched.ts.
t.test('a receipt says how many stored responses the purge named', async (t) => {
  const house = await startHouse(t, { origin: page('x'), host: 'api.example.com' })
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
  const house = await startHouse(t, { origin: page('x') })
  for (let i = 0; i < 70; i++) await house.get(`/${i}`)
  t.equal(matched(await house.purge({ tags: ['x'], soft: true })), 70)
  t.equal(matched(await house.purge({ tags: Array.from({ length: 1000 }, (_, i) => `t${i}`) })), 'unknown', 'too many names')
})
