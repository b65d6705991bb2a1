// Purges for tests.
import type { Purge } from '../../src/store/purge/log.ts'

/** A hard purge of nothing, with the changes of a test. */
export function purge(changes: Partial<Purge> = {}): Purge {
  return { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false, ...changes }
}
