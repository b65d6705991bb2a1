// A replica of the check: one with a wire of its own to Redis.
import { Replica } from '../support/replica.ts'
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
  /** Called with the target of an unsafe request whose invalidation it could not record. */
  readonly notRecorded: (target: string) => void
}

export class WiredReplica extends Replica {
  readonly wire: Wire

  constructor({ name, origin, wire, workers, maxLagMs, keyPrefix, notRecorded }: WiredOptions) {
    super({
      name, workers,
      config: {
        proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 1000 },
        admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'check', token, scopes: ['read', 'purge'] }] },
        redis: { url: `redis://127.0.0.1:${wire.port}`, keyPrefix },
        origins: { api: { servers: [origin], timeouts: { headersMs: 10_000, idleMs: 10_000 } } },
        coherence: { maxLagMs, purgeWaitMs },
        cache: { memory: { maxBytes: '16MiB' } },
        log: { level: 'error' },
      },
      logged: hearsNotRecorded(notRecorded),
    })
    this.wire = wire
  }
}

/** A reader of a replica's log that tells which unsafe requests it could not record. */
export function hearsNotRecorded(tell: (target: string) => void): (line: string) => void {
  return (line) => {
    if (line.includes('an unsafe request succeeded')) tell((JSON.parse(line) as { target: string }).target)
  }
}
