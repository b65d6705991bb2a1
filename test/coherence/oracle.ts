// The responses that are allowed after a purge: the promise, as a judge of the responses that clients received.
import type { Resource } from './resources.ts'

/** The subject of a purge. */
export interface Named {
  readonly urls: readonly string[]
  readonly prefixes: readonly string[]
  readonly tags: readonly string[]
  readonly tagsMatch: 'any' | 'all'
  readonly all: boolean
  readonly soft: boolean
}

/** A purge that was sent. Its promise begins when it is confirmed. */
export interface SentPurge {
  readonly number: number
  readonly named: Named
  /** The origin's counter when it was sent: everything generated at or before it precedes the purge. */
  readonly floor: number
  /** The moment at which the confirmation arrived; undefined: not confirmed, which promises nothing either way. */
  confirmed: number | undefined
  /**
   * The target of the unsafe request whose response caused it: its replica may still report that it could not be recorded.
   */
  readonly unsafe: string | undefined
  /** The only replica that promises it; undefined: all of them. */
  readonly only?: string | undefined
}

/** A response of the origin: its number in the order of all responses, and the subjects by which a purge finds it. */
export interface Generated {
  readonly generation: number
  readonly path: string
  readonly version: number
  readonly tags: readonly string[]
}

/**
 * A response that a client received. Moments count the events of this process: sent after confirmed is always a larger
 * number.
 */
export interface Seen {
  readonly resource: Pick<Resource, 'neverShared'>
  /** The name of the replica that responded. */
  readonly replica?: string
  readonly sent: number
  /** The origin's counter when the request was sent. */
  readonly counterAtSend: number
  readonly noCache: boolean
  readonly status: number
  /**
   * The origin's response that made the body (for a HEAD: that would have). For a 304: the last with the version that it
   * names.
   */
  readonly made: Generated
  /** The origin's response that last confirmed it: the same one, or its 304. Unknown in a client's own 304. */
  readonly lastHeardOf: number | undefined
  /** The detail in Cache-Status. */
  readonly detail: string
}

export interface Violation {
  readonly rule: string
  readonly purge: SentPurge | undefined
}

/** The reasons of Cache-Status for responses that are knowingly stale. */
const staleUses: ReadonlySet<string> = new Set(['stale-while-revalidate', 'stale-if-error', 'origin-unreachable', 'origin-5xx'])

/** Keeps purges, and judges responses by them. */
export class Oracle {
  /** By their floors, lowest first. */
  readonly #purges: SentPurge[] = []
  /** The number of responses that came after at least one confirmed purge of their subject. */
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

  /** Returns the rule that a response breaks; undefined if none. */
  judge(seen: Seen): Violation | undefined {
    const { resource, made, lastHeardOf = seen.status === 304 ? made.generation : 0, counterAtSend } = seen
    if (resource.neverShared && made.generation <= counterAtSend) {
      return { rule: 'a response for one client alone was made before its request was sent', purge: undefined }
    }
    if (seen.noCache && Math.max(made.generation, lastHeardOf) <= counterAtSend) {
      return { rule: 'a request with no-cache got a response that the origin had made before it was sent', purge: undefined }
    }
    this.#count(seen)
    let doubtful: Violation | undefined
    for (let i = this.#purges.length - 1; i >= 0; i--) {
      const purge = this.#purges[i] as SentPurge
      if (purge.floor < made.generation) break
      // Sent while the purge was in flight: either response is right.
      if (purge.confirmed === undefined || purge.confirmed > seen.sent || !matches(purge.named, made)) continue
      if (purge.only !== undefined && purge.only !== seen.replica) continue
      // Stale and marked so, or confirmed by the origin since: a soft purge allows both.
      if (purge.named.soft && (lastHeardOf > purge.floor || staleUses.has(seen.detail))) continue
      const rule = purge.named.soft ? 'a response from before a soft purge was served after it as if fresh' : 'a response from before a purge was served after it'
      // A purge that may still turn out unrecorded does not hide one that was recorded.
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
