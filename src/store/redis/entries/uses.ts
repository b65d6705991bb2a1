// Reports to Redis which variants were used, so that the least recently used one is dropped: at most one for each in a period.
import type { GuardedClient } from '../connect/guarded-client.ts'
import { usePeriod } from '../../use-period.ts'
import { Script } from '../connect/script.ts'

/** The most reports of a process in a period. Beyond it, uses go unreported until the next one. */
const mostReports = 1000

/** Returns the Redis key of the uses of an entry: a hash of the same fields, with the time of day of the last report. */
export function usesName(entry: string): string {
  return `${entry}:used`
}

/** KEYS: entry, its uses. ARGV: field, now. Does nothing for a variant that is not stored. */
const useScript = new Script(`
local entry, uses, field = KEYS[1], KEYS[2], ARGV[1]
local left = redis.call('PTTL', entry)
if left <= 0 or not redis.call('HGET', entry, field) then return 0 end
if redis.call('TYPE', uses).ok ~= 'hash' then redis.call('UNLINK', uses) end
redis.call('HSET', uses, field, ARGV[2])
return redis.call('PEXPIRE', uses, left)
`)

/** The reports of this process. */
export class UseReports {
  /** The fields that were reported in this period, by entry. */
  readonly #reported = new Map<string, Set<string>>()
  #period = -1
  #count = 0

  /** Reports a use, unless that was done in this period. Never rejects: a lost report costs an early eviction at most. */
  async report(lane: GuardedClient, entry: string, field: string, nowMs: number): Promise<void> {
    if (!this.#isDue(entry, field, usePeriod(nowMs))) return
    try {
      await useScript.run(lane, [entry, usesName(entry)], [field, nowMs])
    } catch { /* see above */ }
  }

  /** After a commit to an entry, the order of its variants matters again: their next uses are reported. */
  onCommit(entry: string): void {
    this.#reported.delete(entry)
  }

  #isDue(entry: string, field: string, period: number): boolean {
    if (period !== this.#period) {
      this.#reported.clear()
      this.#period = period
      this.#count = 0
    }
    const fields = this.#reported.get(entry)
    if (fields?.has(field) === true || this.#count >= mostReports) return false
    this.#count++
    if (fields === undefined) this.#reported.set(entry, new Set([field]))
    else fields.add(field)
    return true
  }
}
