// Unsafe requests that a replica could not record at once: it keeps them, and promises them after it has recovered.
import { ask } from '../support/client.ts'
import type { Named, Oracle } from './oracle.ts'
import { wait } from './random.ts'
import { token, type WiredReplica } from './replica.ts'
import type { Trail } from './trail.ts'

interface Kept {
  readonly replica: WiredReplica
  readonly target: string
  readonly named: Named
  /** The origin's count in the response to the unsafe request: everything generated before is invalid. */
  readonly floor: number
  /** The processes of the replica when it kept this: it is lost with the process that has it. */
  readonly processes: string
}

export interface DeferredParts {
  readonly trail: Trail
  readonly oracle: Oracle
  readonly maxLagMs: number
}

export class Deferred {
  readonly #parts: DeferredParts
  readonly #posted = new Map<string, { readonly named: Named; readonly floor: number }>()
  readonly #told = new Map<string, WiredReplica>()
  #kept: Kept[] = []
  #over = false

  constructor(parts: DeferredParts) {
    this.#parts = parts
  }

  /** The response to an unsafe request has arrived. */
  posted(target: string, named: Named, floor: number): void {
    this.#posted.set(target, { named, floor })
    this.#keep(target)
  }

  /** A replica reports that it could not record an unsafe request, before or after the response arrives. */
  notRecorded(target: string, replica: WiredReplica): void {
    this.#told.set(target, replica)
    this.#keep(target)
  }

  #keep(target: string): void {
    const posted = this.#posted.get(target)
    const replica = this.#told.get(target)
    if (posted === undefined || replica === undefined) return
    this.#kept.push({ replica, target, ...posted, processes: processesOf(replica) })
    const { trail, oracle } = this.#parts
    // The process that has it applies it at once. Another worker of its replica may learn of it later.
    if (replica.workers === 1)
      oracle.confirmed(oracle.sent(posted.named, posted.floor, undefined, replica.name), trail.note('purge', `${replica.name} keeps what the post to ${target} invalidates`))
  }

  /** Confirms the invalidations that replicas have recorded, until `stop`. */
  async watch(): Promise<void> {
    while (!this.#over) {
      await wait(200)
      for (const replica of new Set(this.#kept.map((one) => one.replica))) {
        const before = this.#kept.filter((one) => one.replica === replica)
        if (await isWell(replica)) { for (const one of before) void this.#caughtUp(one) }
        else this.#kept = this.#kept.filter((one) => one.replica !== replica || one.processes === processesOf(replica))
      }
    }
  }

  stop(): void {
    this.#over = true
  }

  // It is recorded. A replica that has not read that far within its lag serves nothing.
  async #caughtUp(one: Kept): Promise<void> {
    this.#kept = this.#kept.filter((other) => other !== one)
    const { trail, oracle, maxLagMs } = this.#parts
    if (one.processes !== processesOf(one.replica)) return
    await wait(maxLagMs * 1.1 + 100)
    oracle.confirmed(oracle.sent(one.named, one.floor), trail.note('purge', `${one.replica.name} has been well since the post to ${one.target}: all replicas know of it`))
    trail.count('unsafe responses that were recorded later')
  }
}

function processesOf(replica: WiredReplica): string {
  return [replica.pid, ...replica.workerPids].join(' ')
}

// Every worker must report: a frozen worker may still have one.
async function isWell(replica: WiredReplica): Promise<boolean> {
  try {
    const answer = await ask(replica.adminPort, { path: '/v1/stats', headers: ['Authorization', `Bearer ${token}`] })
    const { store: { degraded }, workers = [] } = JSON.parse(answer.body.toString()) as { store: { degraded: string[] }; workers?: unknown[] }
    return answer.status === 200 && degraded.length === 0 && (replica.workers === 1 || workers.length === replica.workers)
  } catch {
    return false
  }
}
