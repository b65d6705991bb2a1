// The runs: the suite over every store, with each of the settings.
import { fileURLToPath } from 'node:url'

export interface Store {
  readonly name: string
  /** True if a Redis is started for it. */
  readonly redis: boolean
  readonly env: Readonly<Record<string, string>>
}

// The tests are about storing and reuse, not about speed. A busy machine must not be taken for a lost Redis, which costs hits.
const patience = { SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '10s' }

export const stores: readonly Store[] = [
  { name: 'memory', redis: false, env: {} },
  { name: 'redis', redis: true, env: { ...patience, SPRINGHOUSE_CACHE_MEMORY_MAX_BYTES: '0' } },
  { name: 'tiered', redis: true, env: patience },
]

export interface Settings {
  readonly name: string
  /** In the README. */
  readonly shown: string
  /** The arguments of `springhouse serve`, before those of the store. */
  args(origin: string): readonly string[]
}

// Compiled, this is .build/test/conformance/runs.js.
const file = fileURLToPath(new URL('../../../test/conformance/set-cookie-store.yaml', import.meta.url))

export const settings: readonly Settings[] = [
  { name: 'default', shown: 'default', args: origin => ['--origin', origin] },
  { name: 'set-cookie', shown: '`cache.setCookie: store`', args: () => ['--config', file] },
]
