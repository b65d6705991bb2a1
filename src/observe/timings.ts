// How long the store and the purge log take.
import type { Clock } from '../clock.ts'
import type { PurgeTimings } from '../store/purge/log.ts'
import type { Awaitable, Store, Writer } from '../store/store.ts'
import { Latency } from './latency.ts'

/** Operations that may wait for Redis. Operations in this process's memory are too short to be timed. */
export const storeOperations = ['lookup', 'commit', 'append'] as const
export type StoreOperation = typeof storeOperations[number]

/** The durations of the operations on the store and the purge log, in one process. */
export class Timings implements PurgeTimings {
  readonly operations: Readonly<Record<StoreOperation, Latency>> = { lookup: new Latency(), commit: new Latency(), append: new Latency() }
  readonly acknowledgements = new Latency()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  appended(ms: number): void {
    this.operations.append.record(ms)
  }

  acknowledged(ms: number): void {
    this.acknowledgements.record(ms)
  }

  /** Returns the store with its lookups and commits timed. A store in memory is returned as it is. */
  timed(store: Store): Store {
    if (store.stats().kind === 'memory') return store
    const { refuses } = store
    return {
      ...(store.local !== undefined && { local: store.local }),
      lookup: key => this.#time('lookup', () => store.lookup(key)),
      ...(refuses !== undefined && { refuses: refuses.bind(store) }),
      write: (key, meta) => this.#timedWriter(store.write(key, meta)),
      refresh: (...args) => store.refresh(...args),
      remove: (...args) => store.remove(...args),
      list: (...args) => store.list(...args),
      stats: () => store.stats(),
      close: () => store.close(),
    }
  }

  #timedWriter(writer: Writer): Writer {
    return {
      write: chunk => writer.write(chunk),
      written: position => writer.written?.(position),
      get gaveUp() {
        return writer.gaveUp
      },
      get others() {
        return writer.others
      },
      commit: () => this.#time('commit', () => writer.commit()),
      abort: () => writer.abort(),
    }
  }

  #time<Value>(operation: StoreOperation, run: () => Awaitable<Value>): Awaitable<Value> {
    const startedMs = this.#clock.monotonic()
    const value = run()
    if (!(value instanceof Promise)) return value
    return value.finally(() => this.operations[operation].record(this.#clock.monotonic() - startedMs))
  }
}
