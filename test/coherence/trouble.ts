// Troubles while the clients run: one after the other, and sometimes two at once.
import type { Steps } from './clients.ts'
import type { WiredReplica } from './replica.ts'
import { wait } from './random.ts'
import { clockTroubles } from './troubles/clocks.ts'
import { linkTroubles } from './troubles/links.ts'
import type { Kind, TroubleParts } from './troubles/parts.ts'
import { processTroubles } from './troubles/processes.ts'
import { redisTroubles } from './troubles/redis.ts'

const table = { ...processTroubles, ...linkTroubles, ...redisTroubles, ...clockTroubles }

export type TroubleKind = keyof typeof table

/** The kinds of trouble. */
export const kinds: Readonly<Record<TroubleKind, Kind>> = table

export const kindNames = Object.keys(kinds) as TroubleKind[]

export function needs(name: TroubleKind, what: 'clocks' | 'standby'): boolean {
  return kinds[name].needs?.includes(what) ?? false
}

/** Without a library that shifts clocks: the kinds that are left out of a choice, and those that remain. */
export function within(chosen: 'all' | 'none' | TroubleKind, hasClocks: boolean): { readonly run: readonly TroubleKind[]; readonly leftOut: readonly TroubleKind[] } {
  const wanted = kindNames.filter((name) => chosen === 'all' || name === chosen)
  const possible = (name: TroubleKind): boolean => hasClocks || !needs(name, 'clocks')
  return { run: wanted.filter(possible), leftOut: wanted.filter((name) => !possible(name)) }
}

// So that most purges are confirmed, and promise something: an unconfirmed promise cannot be broken.
const mostAtOnce = 2

/** The present troubles. */
class Now {
  running = 0
  #alone = false
  readonly #claimed = new Set<string>()
  /** The replicas in trouble: once for each trouble. */
  readonly #concerned: WiredReplica[] = []
  readonly #owned = new Set<WiredReplica>()

  /** True if another kind may begin with this replica. */
  allows({ claims = [], alone = false, ownsReplica = false }: Kind, replica: WiredReplica): boolean {
    return !this.#alone && !(alone && this.running > 0) && !claims.some((claim) => this.#claimed.has(claim))
      && !this.#owned.has(replica) && !(ownsReplica && this.#concerned.includes(replica))
  }

  /** Adds a trouble until the returned function is called. */
  begin({ claims = [], alone = false, ownsReplica = false }: Kind, replica: WiredReplica): () => void {
    this.running++
    this.#concerned.push(replica)
    if (ownsReplica) this.#owned.add(replica)
    this.#alone = alone
    for (const claim of claims) this.#claimed.add(claim)
    return () => {
      this.running--
      this.#concerned.splice(this.#concerned.indexOf(replica), 1)
      if (ownsReplica) this.#owned.delete(replica)
      if (alone) this.#alone = false
      for (const claim of claims) this.#claimed.delete(claim)
    }
  }
}

/** Makes troubles of these kinds as the steps pass, with quiet between them. Resolves when the last trouble is over. */
export async function makeTrouble(parts: TroubleParts, names: readonly TroubleKind[], steps: Steps): Promise<void> {
  const { random } = parts
  const now = new Now()
  const all: Promise<void>[] = []
  let next = steps.taken + random.between(20, 100)
  while (steps.left) {
    await wait(20)
    if (steps.taken < next || now.running >= mostAtOnce) continue
    next = steps.taken + random.between(5, 130)
    all.push(trouble(parts, names, now))
  }
  await Promise.all(all)
}

async function trouble(parts: TroubleParts, names: readonly TroubleKind[], now: Now): Promise<void> {
  const { trail, replicas, maxLagMs, random } = parts
  const weights = Object.fromEntries(names.map((name) => [name, kinds[name].weight])) as Record<TroubleKind, number>
  const name = random.weighted(weights)
  const replica = random.pick(replicas)
  if (!replica.up || !now.allows(kinds[name], replica)) return
  const over = now.begin(kinds[name], replica)
  let counted = false
  try {
    await kinds[name].act({
      ...parts,
      replica,
      longMs: random.between(Math.floor(maxLagMs * 0.9), maxLagMs * 4),
      begun: (what) => {
        if (!counted) trail.count(`trouble: ${name}`)
        counted = true
        trail.note('trouble', `${replica.name}: ${what}`)
      },
    })
  } finally {
    over()
  }
}
