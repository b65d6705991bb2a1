// What may be answered after a purge: the promise, as a judge of what clients saw.
import type { Resource } from './resources.ts'

/** What a purge names. */
export interface Named {
  readonly urls: readonly string[]
  readonly prefixes: readonly string[]
  readonly tags: readonly string[]
  readonly tagsMatch: 'any' | 'all'
  readonly all: boolean
  readonly soft: boolean
}

/** A purge that was sent. What it promises begins when it is confirmed. */
export interface SentPurge {
  readonly number: number
  readonly named: Named
  /** The origin's counter when it was sent: what was generated at or before it was generated before the purge. */
  readonly floor: number
  /** Moment at which the confirmation was here; undefined: not confirmed, which promises nothing either way. */
  confirmed: number | undefined
  /** Target of the unsafe request whose answer brought it about: its replica may yet say that it could not be recorded. */
  readonly unsafe: string | undefined
  /** The one replica that promises it; undefined: all of them. */
  readonly only?: string | undefined
}

/** One answer of the origin: its place in the order of all of them, and what a purge would find it by. */
export interface Generated {
  readonly generation: number
  readonly path: string
  readonly version: number
  readonly tags: readonly string[]
}

/** What a client was told. Moments count the events of this process: sent after confirmed is a larger number, always. */
export interface Seen {
  readonly resource: Pick<Resource, 'neverShared'>
  /** The name of the replica that answered. */
  readonly replica?: string
  readonly sent: number
  /** The origin's counter when the request was sent. */
  readonly counterAtSend: number
  readonly noCache: boolean
  readonly status: number
  /** The origin's answer that made the body (of a HEAD: that would have). Of a 304: the last with the version that it names. */
  readonly made: Generated
  /** The origin's answer that last confirmed it: the same one, or a 304 of it. Unknown in a client's own 304. */
  readonly lastHeardOf: number | undefined
  /** The detail in Cache-Status. */
  readonly detail: string
}

export interface Violation {
  readonly rule: string
  readonly purge: SentPurge | undefined
}

/** The reasons of Cache-Status that say: this is stale, and knowingly so. */
const staleUses: ReadonlySet<string> = new Set(['stale-while-revalidate', 'stale-if-error', 'origin-unreachable', 'origin-5xx'])

/** Remembers purges, and judges answers by them. */
export class Oracle {
  /** By their floors, lowest first. */
  readonly #purges: SentPurge[] = []
  /** Answers that came after at least one confirmed purge of what they are. */
  judgedByPurge = 0

  sent(named: Named, floor: number, unsafe?: string, only?: string): SentPurge {
    const purge = { number: this.#purges.length + 1, named, floor, confirmed: undefined, unsafe, only }
    let at = this.#purges.length
    while (at > 0 && (this.#purges[at - 1] as SentPurge).floor > floor) at--
    this.#purges.splice(at, 0, purge)
    return purge
  }

  /** @param moment when the confirmation arrived */
  confirmed(purge: SentPurge, moment: number): void {
    purge.confirmed = moment
  }

  /** What an answer breaks; undefined: nothing. */
  judge(seen: Seen): Violation | undefined {
    const { resource, made, lastHeardOf = seen.status === 304 ? made.generation : 0, counterAtSend } = seen
    if (resource.neverShared && made.generation <= counterAtSend) {
      return { rule: 'an answer for one asker alone was made before the request for it was sent', purge: undefined }
    }
    if (seen.noCache && Math.max(made.generation, lastHeardOf) <= counterAtSend) {
      return { rule: 'a request with no-cache was answered with what the origin had said before it was sent', purge: undefined }
    }
    this.#count(seen)
    let doubtful: Violation | undefined
    for (let i = this.#purges.length - 1; i >= 0; i--) {
      const purge = this.#purges[i] as SentPurge
      if (purge.floor < made.generation) break
      // Sent while the purge was on its way: either answer is right.
      if (purge.confirmed === undefined || purge.confirmed > seen.sent || !matches(purge.named, made)) continue
      if (purge.only !== undefined && purge.only !== seen.replica) continue
      // Stale and saying so, or confirmed by the origin since: that is what a soft purge leaves.
      if (purge.named.soft && (lastHeardOf > purge.floor || staleUses.has(seen.detail))) continue
      const rule = purge.named.soft ? 'a response from before a soft purge was served after it as if fresh' : 'a response from before a purge was served after it'
      // One that may yet turn out not to have been recorded does not hide one that was.
      if (purge.unsafe === undefined) return { rule, purge }
      doubtful ??= { rule, purge }
    }
    return doubtful
  }

  #count({ sent, made }: Seen): void {
    if (this.#purges.some((purge) => purge.confirmed !== undefined && purge.confirmed < sent && matches(purge.named, made))) this.judgedByPurge++
  }
}

export function matches(named: Named, { path, tags }: Pick<Generated, 'path' | 'tags'>): boolean {
  if (named.all || named.urls.includes(path) || named.prefixes.some((prefix) => path.startsWith(prefix))) return true
  if (named.tags.length === 0) return false
  return named.tagsMatch === 'any' ? named.tags.some((tag) => tags.includes(tag)) : named.tags.every((tag) => tags.includes(tag))
}
