// A replica of the check, with a separate wire to Redis.
import type { SessionPlace } from '../session/place.ts'
import { Replica } from '../support/replica.ts'
import type { ShiftedClock } from './clocks/clock.ts'
import { withCookie } from './resources.ts'
import type { Wire } from './wire.ts'

export const token = 'a-token-for-the-check-of-coherence'
export const host = 'coherence.test'
/** The path of requests with sessions. */
export const sessionPath = '/with-session'
/**
 * How long the response to an unsafe request is held back until all replicas have applied it: longer than a dead replica
 * counts, at the usual lag.
 */
export const purgeWaitMs = 6000

export interface WiredOptions {
  readonly name: string
  readonly origin: string
  readonly wire: Wire
  readonly workers: number
  readonly maxLagMs: number
  /** The prefix of its keys in Redis: a prefix of its own makes it deaf to the others' purges. */
  readonly keyPrefix: string
  /** Its own clocks; undefined: it reads the true ones. */
  readonly clock: ShiftedClock | undefined
  /** The compiled program, if it differs from the tests'. */
  readonly program: string | undefined
  /** The Redis and the origin of sessions; undefined: the program of another build may know none. */
  readonly sessions: SessionPlace | undefined
  /** Called with the target of an unsafe request whose invalidation it could not record. */
  readonly notRecorded: (target: string, replica: WiredReplica) => void
}

export class WiredReplica extends Replica {
  readonly wire: Wire
  readonly clock: ShiftedClock | undefined
  /** True if its rules ignore cookies, as it has started, or will start next. */
  lax = false
  #frozen = false
  readonly #withSessions: boolean

  constructor(options: WiredOptions) {
    const { name, origin, wire, workers, maxLagMs, keyPrefix, clock, program, sessions, notRecorded } = options
    super({
      name,
      workers,
      program,
      env: clock?.env,
      config: {
        proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 1000 },
        admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'check', token, scopes: ['read', 'purge'] }] },
        // On a busy machine a command may take longer than it ever does in service.
        redis: { url: `redis://127.0.0.1:${wire.port}`, keyPrefix, commandTimeoutMs: 400 },
        origins: { api: { servers: [origin], timeouts: { headersMs: 10_000, idleMs: 10_000 } }, ...(sessions !== undefined && { sessions: { servers: [sessions.origin] } }) },
        ...(sessions !== undefined && { sessions: sessions.sessions }),
        coherence: { maxLagMs, purgeWaitMs },
        cache: { memory: { maxBytes: '16MiB' } },
        log: { level: 'warn', query: [postNumber] },
      },
      logged: hearsNotRecorded((target) => notRecorded(target, this)),
    })
    this.wire = wire
    this.clock = clock
    this.#withSessions = sessions !== undefined
  }

  /** True while it is frozen. */
  get frozen(): boolean {
    return this.#frozen
  }

  override signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#frozen = signal === 'SIGSTOP'
    super.signal(signal)
  }

  protected override get config(): object {
    const cookies = this.lax ? 'ignore' : 'private'
    // The resources of the check are everyone's: sessions have a path of their own.
    const identity = this.#withSessions ? { identity: { sources: [] } } : {}
    return { ...super.config, routes: [
      ...(this.#withSessions ? [{ match: { path: sessionPath }, origin: 'sessions' }] : []),
      { match: { path: withCookie }, origin: 'api', cache: { cookies }, ...identity },
      { origin: 'api', ...identity },
    ] }
  }
}

/** The query parameter that numbers unsafe requests. The log must show its value, which names the request. */
export const postNumber = 'post'

/** Reads a replica's log and reports the unsafe requests that it could not record. */
export function hearsNotRecorded(tell: (target: string) => void): (line: string) => void {
  return (line) => {
    if (!line.includes('an unsafe request succeeded')) return
    const { target } = JSON.parse(line) as { target: string }
    // Nothing is stored at the path of sessions.
    if (target === sessionPath) return
    if (!new RegExp(`[?&]${postNumber}=\\d+`).test(target)) throw new Error(`the log does not say which unsafe request was not recorded: ${target}`)
    tell(target)
  }
}
