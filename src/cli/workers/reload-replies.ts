// The replies of workers to a reload: the primary waits for all of them.
import type { Worker } from 'node:cluster'

/** A worker's reply to a reload. */
export interface ReloadReply {
  readonly type: 'reloaded'
  readonly id: number
  /** The sections that wait for the next start. */
  readonly waiting: readonly string[]
  /** Why the worker refused the configuration. */
  readonly failure?: string | undefined
}

/** A worker that hangs must not hold up a reload for ever. */
const patienceMs = 10_000

interface Waiting {
  readonly workers: Set<Worker>
  readonly sections: Set<string>
  readonly done: (sections: readonly string[]) => void
  readonly failed: (error: Error) => void
  readonly patience: NodeJS.Timeout
}

export class ReloadReplies {
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  /** Makes workers reload. Resolves to the sections that wait. @throws Error with the reason if a worker refuses. */
  of(workers: readonly Worker[], ask: (worker: Worker, id: number) => void): Promise<readonly string[]> {
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const patience = setTimeout(() => this.#end(id)?.failed(new Error('a worker did not reload in time')), patienceMs)
      this.#waiting.set(id, { workers: new Set(workers), sections: new Set(), done: resolve, failed: reject, patience })
      for (const worker of workers) {
        worker.once('exit', () => this.#leave(id, worker))
        ask(worker, id)
      }
      if (workers.length === 0) this.#end(id)?.done([])
    })
  }

  take(worker: Worker, { id, waiting, failure }: ReloadReply): void {
    const reload = this.#waiting.get(id)
    if (reload === undefined) return
    if (failure !== undefined) return this.#end(id)?.failed(new Error(failure))
    for (const section of waiting) reload.sections.add(section)
    this.#leave(id, worker)
  }

  // A worker that ended gets the configuration when it is replaced.
  #leave(id: number, worker: Worker): void {
    const reload = this.#waiting.get(id)
    if (reload?.workers.delete(worker) === true && reload.workers.size === 0) this.#end(id)?.done([...reload.sections])
  }

  #end(id: number): Waiting | undefined {
    const reload = this.#waiting.get(id)
    if (reload !== undefined) clearTimeout(reload.patience)
    this.#waiting.delete(id)
    return reload
  }
}
