// The mixed load: clients that read as clients do, and one that purges.
import { Agent } from 'node:http'
import type { Named } from '../coherence/oracle.ts'
import { post, purge } from '../coherence/purging.ts'
import { wait, type Random } from '../coherence/random.ts'
import type { Replica } from '../support/replica.ts'
import { read, type Scene as Judged } from './reading.ts'
import { hotKeys, largeKeys, pageOf, varyKeys, type Page } from './site.ts'

/** With replicas that can be purged. */
export interface Scene extends Judged {
  readonly replicas: readonly Replica[]
}

/** Percent of all requests; the last five are private, large, and unsafe requests. */
const shares = { hot: 70, unique: 15, vary: 5, none: 5, me: 2, large: 2, post: 1 }
const flavours = ['sweet', 'sour', 'salt', 'bitter']

/** Chance of a hot key by its rank: Zipf, with exponent 1. */
const zipf = (() => {
  let sum = 0
  const sums = Array.from({ length: hotKeys }, (_, rank) => (sum += 1 / (rank + 1)))
  return (random: Random): number => {
    const at = random.next() * sum
    return sums.findIndex((upTo) => at < upTo)
  }
})()

let asked = 0

/** Reads until `over` says so. */
export async function runClient(scene: Scene, random: Random, who: string, over: () => boolean): Promise<void> {
  let agent = new Agent({ keepAlive: true })
  while (!over()) {
    await wait(random.between(1, 30))
    const replica = anyUp(scene, random)
    if (replica === undefined) continue
    const kind = random.weighted(shares)
    if (kind === 'post') {
      await send(scene, random, who, replica)
      continue
    }
    await read(scene, {
      page: pick(random, kind),
      who,
      flavour: random.pick(flavours),
      agent: random.chance(0.85) ? agent : undefined,
      method: random.chance(0.03) ? 'HEAD' : 'GET',
      slowMs: random.chance(kind === 'large' ? 0.3 : 0.02) ? random.between(1, 15) : 0,
      leaves: random.chance(0.04) ? random.pick(['at once', 'midway'] as const) : undefined,
    }, replica)
    if (random.chance(0.01)) {
      agent.destroy()
      agent = new Agent({ keepAlive: true })
    }
  }
  agent.destroy()
}

/** Sends an unsafe request, which no program may send twice. Its response must come, and be no error but the origin's. */
async function send({ trail, troubles, ...scene }: Scene, random: Random, who: string, replica: Replica): Promise<void> {
  const beganMs = trail.elapsedMs
  const path = `/hot/${zipf(random)}`
  trail.count('posts')
  const { status } = await post({ ...scene, trail }, replica, who, { path }, ++asked)
  const nowMs = trail.elapsedMs
  if (status === 200 || (status !== undefined && [502, 503, 504].includes(status) && troubles.during('origin', beganMs, nowMs))) return
  if (status === undefined && (['killed', 'stopped'] as const).some((sort) => troubles.ended(sort, replica.name, beganMs, nowMs))) return
  scene.violated({ rule: `a POST was answered ${status ?? 'not at all'}, though nothing had failed`, purge: undefined }, path, `${who} posted to ${path} at ${replica.name}`)
}

function pick(random: Random, kind: Exclude<keyof typeof shares, 'post'>): Page {
  const numbers = { hot: () => zipf(random), unique: () => ++asked, none: () => random.between(0, 9), me: () => random.between(0, 4), vary: () => random.between(0, varyKeys - 1),
    large: () => random.between(0, largeKeys - 1) }
  return pageOf(`/${kind}/${numbers[kind]()}`) as Page
}

function anyUp({ replicas }: Scene, random: Random): Replica | undefined {
  const up = replicas.filter((replica) => replica.up)
  return up.length === 0 ? undefined : random.pick(up)
}

/** Purges until `over` returns true, and requests the targets everywhere after each purge that was confirmed. */
export async function runPurger(scene: Scene, random: Random, over: () => boolean): Promise<void> {
  while (!over()) {
    await wait(random.between(100, 1000))
    const replica = anyUp(scene, random)
    if (replica === undefined) continue
    const { named, touched } = what(random)
    for (const path of touched) scene.origin.change(path)
    scene.trail.count('purges')
    if (await purge(scene, replica, 'purger', named, 3000, random.chance(0.3)) !== 200) continue
    const reads: Promise<void>[] = []
    for (const each of scene.replicas) {
      for (let i = 0; i < each.workers && each.up; i++) {
        reads.push(
          read(scene, { page: pageOf(random.pick(touched)) as Page, who: 'purger', flavour: random.pick(flavours), agent: undefined, method: 'GET', slowMs: 0, leaves: undefined },
            each),
        )
      }
    }
    await Promise.all(reads)
  }
}

function what(random: Random): { named: Named; touched: readonly string[] } {
  const nothing = { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: random.chance(0.3) } as const
  const hot = zipf(random)
  switch (random.weighted({ hot: 45, vary: 10, large: 10, tag: 25, prefix: 10 })) {
    case 'hot':
      return { named: { ...nothing, urls: [`/hot/${hot}`] }, touched: [`/hot/${hot}`] }
    case 'vary': {
      const path = `/vary/${random.between(0, varyKeys - 1)}`
      return { named: { ...nothing, urls: [path] }, touched: [path] }
    }
    case 'large': {
      const path = `/large/${random.between(0, largeKeys - 1)}`
      return { named: { ...nothing, urls: [path] }, touched: [path] }
    }
    case 'tag':
      return { named: { ...nothing, tags: [`g${hot % 8}`] }, touched: [`/hot/${hot}`, `/hot/${hot % 8}`] }
    case 'prefix':
      return { named: { ...nothing, prefixes: ['/hot/1'] }, touched: ['/hot/1', '/hot/10', `/hot/1${hot % 100}`] }
  }
}
