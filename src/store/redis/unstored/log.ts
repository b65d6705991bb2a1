// The last responses that were not stored, of all replicas with one Redis: a bounded hash, written in batches.
import type { Clock } from '../../../clock.ts'
import type { RedisConnections } from '../connect/connections.ts'
import { Script } from '../connect/script.ts'
import { digestOf, mostKeys, mostOfKey, OwnUnstored, readUnstored, type Unstored, type UnstoredLog } from '../../unstored.ts'

/** How long after a note the batch is written: other replicas see it within a second. */
const batchMs = 500
/** How long the same outcome of a key is not written again. */
const repeatMs = 5_000
/** The most keys of a batch: the last ones. Beyond it Redis holds a sample, and each process its own in full. */
const mostOfBatch = 16
/** The most keys whose last write is remembered. */
const mostRemembered = 1_000
/** How long Redis keeps the hash after the last note, and how old a note may be. */
const keepMs = 3_600_000

/**
 * Puts lines before those of their slots, and keeps the first lines of each. Keys that share a slot share its lines. KEYS: hash. ARGV:
 * time to live, most lines; then slot and new lines for each key, the lines separated by line feeds.
 */
const noteScript = new Script(`
local all, ttl, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local kind = redis.call('TYPE', all).ok
if kind ~= 'none' and kind ~= 'hash' then redis.call('UNLINK', all) end
for i = 3, #ARGV, 2 do
  local lines, count = {}, 0
  for line in (ARGV[i + 1] .. '\\n' .. (redis.call('HGET', all, ARGV[i]) or '')):gmatch('[^\\n]+') do
    if count < most and #line < 1024 then
      count = count + 1
      lines[count] = line
    end
  end
  redis.call('HSET', all, ARGV[i], table.concat(lines, '\\n'))
end
return redis.call('PEXPIRE', all, ttl)
`)

export interface SharedUnstoredOptions {
  readonly redis: RedisConnections
  readonly prefix: string
  /** The name of this replica. */
  readonly replica: string
  readonly clock: Clock
}

/** A key whose lines wait for the next batch. */
interface Waiting {
  readonly lines: string[]
  readonly dueMs: number
}

/** Notes in this process, and in Redis for the other replicas. If Redis fails, notes of this process are all there is. */
export class SharedUnstored implements UnstoredLog {
  readonly #options: SharedUnstoredOptions
  readonly #own: OwnUnstored
  readonly #name: string
  readonly #waiting = new Map<string, Waiting>()
  /** The outcome of a key that was last written, and when. */
  readonly #written = new Map<string, { readonly outcome: string; readonly atMs: number }>()
  #timer: NodeJS.Timeout | undefined
  #timerDueMs = Infinity

  constructor(options: SharedUnstoredOptions) {
    this.#options = options
    this.#own = new OwnUnstored(options.replica)
    this.#name = `${options.prefix}:{unstored}`
  }

  note(key: string, response: Omit<Unstored, 'replica'>): void {
    const digest = digestOf(key)
    const line = `${digest} ${this.#own.noteDigest(digest, { ...response, replica: this.#options.replica })}`
    const outcome = JSON.stringify([response.status, response.reason, response.deciding])
    const nowMs = this.#options.clock.monotonic()
    const written = this.#written.get(digest)
    const isRepeated = written?.outcome === outcome && nowMs - written.atMs < repeatMs
    const before = this.#waiting.get(digest)
    const dueMs = Math.min(before?.dueMs ?? Infinity, nowMs + (isRepeated ? repeatMs : batchMs))
    this.#waiting.delete(digest)
    this.#waiting.set(digest, { lines: [line, ...(before?.lines ?? [])].slice(0, mostOfKey), dueMs })
    if (!isRepeated) this.#remember(digest, outcome, nowMs)
    if (this.#waiting.size > mostOfBatch) {
      const [oldest] = this.#waiting.keys()
      if (oldest !== undefined) this.#waiting.delete(oldest)
    }
    this.#writeAt(dueMs, nowMs)
  }

  #remember(digest: string, outcome: string, atMs: number): void {
    this.#written.set(digest, { outcome, atMs })
    if (this.#written.size <= mostRemembered) return
    const [oldest] = this.#written.keys()
    if (oldest !== undefined) this.#written.delete(oldest)
  }

  #writeAt(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#timerDueMs) return
    clearTimeout(this.#timer)
    this.#timerDueMs = dueMs
    this.#timer = setTimeout(() => this.#write(), dueMs - nowMs)
    this.#timer.unref()
  }

  #write(): void {
    this.#timerDueMs = Infinity
    const args = [...this.#waiting].flatMap(([digest, { lines }]) => [slotOf(digest), lines.join('\n')])
    this.#waiting.clear()
    if (args.length === 0) return
    // Safe to ignore: while Redis is in trouble, other replicas miss a note.
    void noteScript.run(this.#options.redis.small, [this.#name], [keepMs, mostOfKey, ...args]).catch(() => undefined)
  }

  async last(key: string): Promise<readonly Unstored[]> {
    const digest = digestOf(key)
    const own = this.#own.ofDigest(digest)
    const others = (await this.#lines(digest)).filter(({ replica }) => replica !== this.#options.replica)
    return [...own, ...others].toSorted((a, b) => b.atMs - a.atMs).slice(0, mostOfKey)
  }

  async #lines(digest: string): Promise<readonly Unstored[]> {
    try {
      const reply = await this.#options.redis.small.call('HGET', [this.#name, slotOf(digest)])
      const oldestMs = this.#options.clock.now() - keepMs
      return String(reply ?? '').split('\n').filter(line => line.startsWith(`${digest} `)).flatMap(line => readUnstored(line.slice(digest.length + 1)) ?? [])
        .filter(({ atMs }) => atMs >= oldestMs)
    } catch {
      return []
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#own.close()
  }
}

/** Returns the slot of a key. There are as many slots as keys are kept, so Redis never holds more, whatever clients request. */
function slotOf(digest: string): string {
  return String(Number.parseInt(Buffer.from(digest.slice(0, 8), 'base64url').toString('hex').slice(0, 10), 16) % mostKeys)
}
