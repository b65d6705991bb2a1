// A replica of the check: one with a wire of its own to Redis.
import { Replica } from '../support/replica.ts'
import type { ShiftedClock } from './clocks/clock.ts'
import { withCookie } from './resources.ts'
import type { Wire } from './wire.ts'

export const token = 'a-token-for-the-check-of-coherence'
export const host = 'coherence.test'
/** How long an unsafe answer is held back until everyone knows: longer than a dead replica is counted, at the usual lag. */
export const purgeWaitMs = 6000

export interface WiredOptions {
  readonly name: string
  readonly origin: string
  readonly wire: Wire
  readonly workers: number
  readonly maxLagMs: number
  /** What its keys in Redis begin with: another one than the others' makes it deaf to their purges. */
  readonly keyPrefix: string
  /** Its own; undefined: it reads the true ones. */
  readonly clock: ShiftedClock | undefined
  /** The compiled program, where it is another one than the tests'. */
  readonly program: string | undefined
  /** Called with the target of an unsafe request whose invalidation it could not record. */
  readonly notRecorded: (target: string, replica: WiredReplica) => void
}

export class WiredReplica extends Replica {
  readonly wire: Wire
  readonly clock: ShiftedClock | undefined
  /** Whether by its rules cookies mean nothing: as it has started, or will start next. */
  lax = false
  #frozen = false

  constructor(options: WiredOptions) {
    const { name, origin, wire, workers, maxLagMs, keyPrefix, clock, program, notRecorded } = options
    super({
      name, workers, program,
      env: clock?.env,
      config: {
        proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 1000 },
        admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'check', token, scopes: ['read', 'purge'] }] },
        // On a busy machine a command may take longer than it ever does on one that serves.
        redis: { url: `redis://127.0.0.1:${wire.port}`, keyPrefix, commandTimeoutMs: 400 },
        origins: { api: { servers: [origin], timeouts: { headersMs: 10_000, idleMs: 10_000 } } },
        coherence: { maxLagMs, purgeWaitMs },
        cache: { memory: { maxBytes: '16MiB' } },
        log: { level: 'warn' },
      },
      logged: hearsNotRecorded((target) => notRecorded(target, this)),
    })
    this.wire = wire
    this.clock = clock
  }

  /** Whether it was frozen, and does not go on yet. */
  get frozen(): boolean {
    return this.#frozen
  }

  override signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#frozen = signal === 'SIGSTOP'
    super.signal(signal)
  }

  protected override get config(): object {
    const cookies = this.lax ? 'ignore' : 'private'
    return { ...super.config, routes: [{ match: { path: withCookie }, origin: 'api', cache: { cookies } }, { origin: 'api' }] }
  }
}

/** A reader of a replica's log that tells which unsafe requests it could not record. */
export function hearsNotRecorded(tell: (target: string) => void): (line: string) => void {
  return (line) => {
    if (line.includes('an unsafe request succeeded')) tell((JSON.parse(line) as { target: string }).target)
  }
}
