// The soak can fail: servers that lie in each of the ways that it checks for, and processes that grow.
import t from 'tap'
import { Oracle } from '../coherence/oracle.ts'
import { Random } from '../coherence/random.ts'
import { Trail } from '../coherence/trail.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { SoakOrigin } from './origin.ts'
import { read, type Scene } from './reading.ts'
import { courseOf } from './samples.ts'
import { bodyOf, pageOf, type Page } from './site.ts'
import { Troubles } from './troubles.ts'

const named = (path: string, more: { variant?: string; user?: string; generation?: number } = {}): Buffer => bodyOf({ path, variant: '-', user: '-', generation: 5, ...more }, 500)
const wrongByte = (body: Buffer): Buffer => {
  body[300] = (body[300] as number) ^ 1
  return body
}

interface Lie {
  readonly path: string
  readonly status?: number
  readonly body: Buffer
  /** More than it has. */
  readonly length?: number
  readonly during?: 'origin' | 'redis'
  /** undefined: it is no lie. */
  readonly found: RegExp | undefined
}

const lies: Record<string, Lie> = {
  'the truth': { path: '/hot/2', body: named('/hot/2'), found: undefined },
  'a purged body': { path: '/hot/1', body: named('/hot/1'), found: /from before a purge was served after it/ },
  'a body that is newer than the purge': { path: '/hot/1', body: named('/hot/1', { generation: 11 }), found: undefined },
  'a byte that is another': { path: '/hot/2', body: wrongByte(named('/hot/2')), found: /claims to be whole, and is not/ },
  'a truncated body that claims to be whole': { path: '/hot/2', body: named('/hot/2').subarray(0, 400), found: /claims to be whole, and is not/ },
  'a truncated body, though nothing had failed': { path: '/hot/2', body: named('/hot/2'), length: 9_000, found: /was truncated/ },
  'a truncated body while the origin fails': { path: '/hot/2', body: named('/hot/2'), length: 9_000, during: 'origin', found: undefined },
  'a small truncated body while Redis fails': { path: '/hot/2', body: named('/hot/2'), length: 9_000, during: 'redis', found: /was truncated/ },
  'another key': { path: '/hot/2', body: named('/hot/3'), found: /another URL/ },
  'another key, cut, while the origin fails': { path: '/hot/2', body: named('/hot/3'), length: 9_000, during: 'origin', found: /another URL/ },
  'another variant': { path: '/vary/2', body: named('/vary/2', { variant: 'sweet' }), found: /another variant/ },
  'another user': { path: '/me/2', body: named('/me/2', { user: 'c2' }), found: /another user/ },
  'an old response that must not be stored': { path: '/none/2', body: named('/none/2', { generation: 0 }), found: /before its request was sent/ },
  'something else': { path: '/hot/2', body: Buffer.from('hello'), found: /not one of this origin/ },
  'an error': { path: '/hot/2', status: 503, body: Buffer.from(''), during: 'redis', found: /the origin did not fail/ },
  'an error while the origin fails': { path: '/hot/2', status: 503, body: Buffer.from(''), during: 'origin', found: undefined },
  'an error of its own while the origin fails': { path: '/hot/2', status: 500, body: Buffer.from(''), during: 'origin', found: /the origin did not fail/ },
}

for (const [name, { path, status = 200, body, length, during, found }] of Object.entries(lies)) {
  t.test(`${name} is ${found === undefined ? 'let through' : 'found'}`, async (test) => {
    const server = await startOrigin((_, response) => {
      response.writeHead(status, { 'Content-Length': length ?? body.length, 'X-Generation': 5 })
      response.write(body, () => length === undefined ? response.end() : response.destroy())
    })
    test.teardown(() => server.close())
    const trail = new Trail()
    const oracle = new Oracle()
    const troubles = new Troubles()
    const rules: string[] = []
    const purge = oracle.sent({ urls: ['/hot/1'], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false }, 10)
    oracle.confirmed(purge, trail.note('purge', 'confirmed'))
    if (during !== undefined) troubles.begin(during, undefined, trail.elapsedMs)
    const scene: Scene = {
      trail,
      oracle,
      troubles,
      replicas: [],
      origin: new SoakOrigin(new Random(1)),
      violated: ({ rule }) => rules.push(rule),
      hung: (what) => rules.push(what),
    }
    await read(scene, { page: pageOf(path) as Page, who: 'c1', flavour: 'sour', agent: undefined, method: 'GET', slowMs: 0, leaves: undefined }, { name: 'r1',
      proxyPort: server.port, up: true })
    if (found === undefined) test.same(rules, [])
    else test.match(rules, [found])
  })
}

t.test('memory that grows for as long as it runs is not flat; memory that comes and goes is', async (test) => {
  const course = (rss: (i: number) => number): boolean =>
    courseOf({ name: 'one', samples: Array.from({ length: 90 }, (_, i) => ({ atMs: i * 10_000, rss: rss(i) * 2 ** 20, handles: 1, sockets: 1 })) }, 'rss').flat
  test.equal(course((i) => 150 + 4 * i), false)
  test.equal(course((i) => 150 + 40 * (i % 3)), true)
  test.equal(course((i) => Math.min(400, 150 + 20 * i)), true, 'warm-up')
})
