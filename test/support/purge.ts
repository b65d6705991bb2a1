// Purges for tests.
import type { Purge } from '../../src/store/purge/log.ts'

/** A hard purge of nothing, with what a test wants of it. */
export function purge(changes: Partial<Purge> = {}): Purge {
  return { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false, ...changes }
}
