// The clients: each reads, purges, posts and changes things at random, and reads everywhere at once after a purge.
import { Agent } from 'node:http'
import { matches, type Named } from './oracle.ts'
import { post, purge } from './purging.ts'
import { hesitation, wait, type Random } from './random.ts'
import { read, type Scene } from './reading.ts'
import type { WiredReplica } from './replica.ts'
import { flavours, lasting, prefixes, resources, tags, type Resource } from './resources.ts'

/** The remaining steps, for all clients together. */
export interface Steps {
  /** Takes a step; false if none is left, or the run is over. */
  take(): boolean
  readonly left: boolean
  /** The number of steps that were taken. */
  readonly taken: number
}

const nothing = { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: false } as const

const actions = { read: 88, purge: 6, post: 2.5, change: 3.5 }

/** A client that runs until no step is left. */
export class Client {
  readonly #scene: Scene
  readonly #steps: Steps
  readonly #random: Random
  readonly #who: string
  /** Connections stay with their worker: kept ones for a while, then others. */
  #agent = new Agent({ keepAlive: true })
  readonly #etags = new Map<string, string>()

  constructor(scene: Scene, steps: Steps, random: Random, who: string) {
    this.#scene = scene
    this.#steps = steps
    this.#random = random
    this.#who = who
  }

  async run(): Promise<void> {
    while (this.#steps.left) {
      await wait(hesitation(this.#random, 60))
      const replica = this.#replica()
      if (replica === undefined) await wait(20)
      else if (this.#steps.take()) await this.#act(replica)
      if (this.#random.chance(0.02)) {
        this.#agent.destroy()
        this.#agent = new Agent({ keepAlive: true })
      }
    }
    this.#agent.destroy()
  }

  async #act(replica: WiredReplica): Promise<void> {
    const resource = this.#random.pick(resources)
    const { trail, origin } = this.#scene
    switch (this.#random.weighted(actions)) {
      case 'read':
        return this.#read(replica, resource)
      case 'purge':
        await this.purge(replica)
        return
      case 'post':
        return this.post(replica)
      case 'change':
        trail.count('changes')
        trail.note(resource.path, `${resource.path} changes`)
        origin.change(resource)
    }
  }

  #replica(): WiredReplica | undefined {
    // Few clients wait for a frozen replica: the others go on, and purge meanwhile.
    const patient = this.#random.chance(0.1)
    const up = this.#scene.replicas.filter((replica) => replica.up && (patient || !replica.frozen))
    return up.length === 0 ? undefined : this.#random.pick(up)
  }

  async #read(replica: WiredReplica, resource: Resource): Promise<void> {
    const random = this.#random
    this.#scene.trail.count('reads')
    const method = random.chance(0.06) ? 'HEAD' : 'GET'
    const flavour = random.pick(flavours)
    const remembered = `${resource.path} ${resource.variesBy === 'flavour' ? flavour : ''}`
    const etag = await read(this.#scene, {
      replica,
      resource,
      method,
      flavour,
      who: this.#who,
      agent: random.chance(0.8) ? this.#agent : undefined,
      ifNoneMatch: random.chance(0.1) ? this.#etags.get(remembered) : undefined,
      range: method === 'GET' && resource.validator === 'strong' && random.chance(0.2) ? this.#range(resource) : undefined,
      cacheControl: random.chance(0.05) ? random.pick(['no-cache', 'max-stale=60', 'only-if-cached', 'no-store', 'max-age=0']) : undefined,
      slowMs: random.chance(0.05) ? random.between(1, 40) : 0,
      leaves: random.chance(0.04) ? random.pick(['at once', 'midway'] as const) : undefined,
    })
    if (etag !== undefined) this.#etags.set(remembered, etag)
  }

  #range({ bytes }: Resource): [number, number] {
    const first = this.#random.between(0, bytes - 1)
    return [first, first + this.#random.between(0, bytes)]
  }

  /** Sends an unsafe request, and usually reads everywhere if it is confirmed. */
  async post(replica: WiredReplica): Promise<void> {
    const resource = this.#random.pick(resources)
    this.#scene.trail.count('posts')
    const number = this.#scene.trail.note('purge', `${this.#who} will post`)
    if ((await post(this.#scene, replica, this.#who, resource, number)).confirmed) await this.#lookEverywhere([resource])
  }

  /** Requests everything from a replica at once. */
  async look(replica: WiredReplica): Promise<void> {
    await Promise.all(resources.map((resource) => this.#read(replica, resource)))
  }

  /** Purges something, and usually reads everywhere if that is confirmed. Returns the status. */
  async purge(replica: WiredReplica, waitMs = this.#random.pick([500, 3000, 6000])): Promise<number | undefined> {
    const named = this.#named()
    const status = await this.#send(replica, named, waitMs)
    if (status === 200) await this.#lookEverywhere([this.#random.pick(resources.filter((one) => matches(named, one)))])
    return status
  }

  /** Purges everything, and if that is confirmed reads everywhere all that stays stored for long. Returns the status. */
  async purgeAll(replica: WiredReplica): Promise<number | undefined> {
    const status = await this.#send(replica, { ...nothing, all: true, soft: false }, 6000)
    if (status === 200) await Promise.all(this.#scene.replicas.flatMap((each) => lasting.map((one) => this.#read(each, one))))
    return status
  }

  #send(replica: WiredReplica, named: Named, waitMs: number): Promise<number | undefined> {
    this.#scene.trail.count('purges')
    return purge(this.#scene, replica, this.#who, named, waitMs, this.#random.chance(0.3))
  }

  // Requests it from every replica at once after the confirmation: now a purge that was not final would show.
  async #lookEverywhere(touched: readonly (Resource | undefined)[]): Promise<void> {
    if (this.#random.chance(0.4)) return
    await wait(hesitation(this.#random, 30))
    const reads: Promise<void>[] = []
    for (const resource of touched) {
      if (resource === undefined) continue
      // Twice if there are workers: a separate connection goes to the next worker.
      for (const replica of this.#scene.replicas) {
        for (let i = 0; i < replica.workers && replica.up && this.#steps.take(); i++) reads.push(this.#read(replica, resource))
      }
    }
    await Promise.all(reads)
  }

  #named(): Named {
    const random = this.#random
    const some = { ...nothing, soft: random.chance(0.3) }
    switch (random.weighted({ url: 45, tag: 20, any: 10, both: 10, prefix: 10, all: 5 })) {
      case 'url':
        return { ...some, urls: [random.pick(resources).path] }
      case 'tag':
        return { ...some, tags: [random.pick(tags)] }
      case 'any':
        return { ...some, tags: [random.pick(tags), random.pick(tags)] }
      case 'both':
        return { ...some, tags: ['red', random.pick(['green', 'blue', 'large'])], tagsMatch: 'all' }
      case 'prefix':
        return { ...some, prefixes: [random.pick(prefixes)] }
      case 'all':
        return { ...some, all: true }
    }
  }
}
