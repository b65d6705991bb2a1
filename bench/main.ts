// npm run bench [-- --rounds 5 --seconds 4 --connections 50 --only hit|miss|peers|forwarded|growth|memory|purge|log|sessions|observe] [--entries 1000000] [--before DIR of another build, for `forwarded` and `sessions`]: side by side, in turns, in one run.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ask, type Contestant, field, originCount, sharedStores, startBare, startHttpProxy, startOrigin, startPeers, startSpringhouse } from './contestants.ts'
import { footprint } from './footprint.ts'
import { growth } from './growth.ts'
import { forwarded } from './forwarded.ts'
import { accessLogs } from './log.ts'
import { generator, load, type Measured } from './load.ts'
import { observed } from './observe.ts'
import { pinned } from './process.ts'
import { purges } from './purge.ts'
import { sessionCosts } from './sessions.ts'
import { type Series, table, type Target } from './table.ts'

const sections = ['hit', 'miss', 'peers', 'forwarded', 'growth', 'memory', 'purge', 'log', 'sessions', 'observe'] as const

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string' },
    entries: { type: 'string', default: '1000000' },
    before: { type: 'string' },
  },
})
const rounds = positive('rounds', options.rounds)
const seconds = positive('seconds', options.seconds)
const connections = positive('connections', options.connections)
const entries = positive('entries', options.entries)
if (options.only !== undefined && !(sections as readonly string[]).includes(options.only)) {
  console.error(`--only takes one of ${sections.join(', ')}`)
  process.exit(2)
}
const wanted = (section: (typeof sections)[number]): boolean => options.only === undefined || options.only === section

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  console.error(`--${name} takes a whole number above 0`)
  process.exit(2)
}

/** The proof that a round must give for its number to count. */
interface Proof {
  readonly path: string
  /** `never`: no request reached the origin, so all were hits. `always`: each request reached it. */
  readonly originAsked: 'never' | 'always'
}

async function measure(contestant: Contestant, origin: Contestant, proof: Proof, forSeconds: number): Promise<Measured> {
  const url = contestant.base + proof.path
  const before = await originCount(origin)
  const measured = await load(url, connections, forSeconds)
  const asked = (await originCount(origin)) - before
  const doubt = (why: string): Error => new Error(`${contestant.name}: ${why}; the round counts for nothing`)
  if (measured.errors > 0) throw doubt(`${measured.errors} responses were not 200, or did not come`)
  if (proof.originAsked === 'never' && asked > 0) throw doubt(`${asked} requests reached the origin, so these were not all hits`)
  // wrk's clock is not ours: its rate over the whole seconds may be a little above what it counted.
  if (proof.originAsked === 'always' && asked < measured.perSecond * forSeconds * 0.95) throw doubt('fewer requests reached the origin than responses came')
  const answer = await ask(url)
  if (answer.status !== 200) throw doubt(`its status is ${answer.status}`)
  if (contestant.name.startsWith('springhouse')) {
    const said = field(answer, 'cache-status') ?? 'nothing'
    if (/;\s*hit/.test(said) !== (proof.originAsked === 'never')) throw doubt(`Cache-Status says ${said}`)
  }
  return measured
}

/** Rounds in turns, so that what slows the machine for a while slows all alike; every other round begins at the other end. */
async function race(contestants: readonly Contestant[], origin: Contestant, proof: Proof): Promise<Series[]> {
  for (const contestant of contestants) {
    await ask(contestant.base + proof.path) // a cache's first response is a miss
    await measure(contestant, origin, proof, 2) // compilers are done before it counts
  }
  const measured = new Map<Contestant, Measured[]>(contestants.map((contestant) => [contestant, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      const result = await measure(contestant, origin, proof, seconds)
      measured.get(contestant)?.push(result)
      console.log(`  round ${round + 1} of ${rounds}, ${contestant.name}: ${Math.round(result.perSecond)}/s`)
    }
  }
  return contestants.map((contestant) => ({ name: contestant.name, rounds: measured.get(contestant) ?? [] }))
}

const hit: Proof = { path: '/hit', originAsked: 'never' }
const miss: Proof = { path: '/miss', originAsked: 'always' }

async function hits(origin: Contestant, springhouse: Contestant): Promise<string> {
  await ask(springhouse.base + hit.path)
  const bare = await startBare(await ask(springhouse.base + hit.path))
  const targets: Target[] = [{ name: 'springhouse', ratio: 0.6 }]
  const overRedis = await Promise.all((await sharedStores()).map((shared) => startSpringhouse(origin, shared)))
  await Promise.all(overRedis.map(untilHit))
  return table('Hits, 1 KB', await race([bare, springhouse, ...overRedis], origin, hit), targets)
}

/** It may take a moment until a start has caught up with the purge log; before that it keeps nothing. */
async function untilHit(contestant: Contestant): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (/;\s*hit/.test(field(await ask(contestant.base + hit.path), 'cache-status') ?? '')) return
    await delay(50)
  }
  throw new Error(`${contestant.name} does not come to hit`)
}

async function misses(origin: Contestant, springhouse: Contestant): Promise<string> {
  const alone = await startHttpProxy(origin)
  const targets: Target[] = [{ name: 'springhouse', ratio: 1 }]
  return table('Misses that cannot be stored, 1 KB', await race([alone, springhouse], origin, miss), targets)
}

async function peerHits(origin: Contestant, springhouse: Contestant): Promise<string> {
  const peers = await startPeers(origin)
  if (peers.length === 0) return '## Peers\n\nNeither nginx nor varnishd is on PATH.\n'
  return table('Hits beside the peers, 1 KB', await race([springhouse, ...peers], origin, hit), [])
}

/** The in-process tier by itself, without sockets: a program of its own. */
function memoryTier(): string | undefined {
  const program = fileURLToPath(new URL('memory-tier.js', import.meta.url))
  if (!existsSync(program)) return undefined
  const { status, stdout } = spawnSync(process.execPath, ['--expose-gc', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (status !== 0) throw new Error(`bench/memory-tier.ts ended with ${status}`)
  return `## The memory tier by itself\n\n\`\`\`\n${stdout.trim()}\n\`\`\`\n`
}

async function main(): Promise<void> {
  const parts: string[] = []
  if (wanted('hit') || wanted('miss') || wanted('peers')) {
    const origin = await startOrigin()
    const springhouse = await startSpringhouse(origin)
    if (wanted('hit')) parts.push(await hits(origin, springhouse))
    if (wanted('miss')) parts.push(await misses(origin, springhouse))
    if (wanted('peers')) parts.push(await peerHits(origin, springhouse))
  }
  if (wanted('forwarded')) parts.push(await forwarded(await startOrigin(), rounds, options.before))
  if (wanted('growth')) parts.push(await growth(await startSpringhouse(await startOrigin()), entries))
  if (wanted('memory')) parts.push(await footprint(await startSpringhouse(await startOrigin())))
  const memory = wanted('memory') ? memoryTier() : undefined
  if (memory !== undefined) parts.push(memory)
  if (wanted('purge')) parts.push(await purges(await startOrigin(), entries, 200))
  if (wanted('log')) parts.push(await accessLogs(await startOrigin(), connections, rounds))
  if (wanted('sessions')) parts.push(await sessionCosts(await startOrigin(), connections, rounds, options.before))
  if (wanted('observe')) parts.push(await observed(await startOrigin(), connections, rounds))
  const conditions = [
    `Node ${process.versions.node}, ${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${cpus().length} cores.`,
    pinned ? 'Each server on core 0, load generator and origin on core 1.' : '**Not pinned to cores** (no taskset, or one core): the numbers say less.',
    `Load: ${generator}, ${connections} connections, ${rounds} rounds of ${seconds} s in turns.`,
    'ratio: median, over the rounds, of the rate against the first row in the same round.',
  ]
  const report = ['# Benchmarks', '', ...conditions, '', ...parts].join('\n')
  console.log(`\n${report}`)
  // A part of the benchmarks does not replace the results of all of them.
  if (options.only === undefined) writeFileSync(fileURLToPath(new URL('../../bench/results.md', import.meta.url)), report)
}

await main()
process.exit(0) // The servers are children; exit ends them.
