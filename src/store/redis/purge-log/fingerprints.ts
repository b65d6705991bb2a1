// Compares the configurations of replicas with one Redis and key prefix, because they may be two services by mistake.
import type { RedisConnections } from '../connect/connections.ts'
import { Script } from '../connect/script.ts'
import type { Log } from '../connect/log.ts'

/** Digests of the parts of a configuration that make several replicas one cache. */
export interface Fingerprint {
  readonly routes: string
  readonly origins: string
}

/** A live replica with another configuration. */
export interface Differing {
  readonly replica: string
  readonly differs: readonly (keyof Fingerprint)[]
}

export interface FingerprintsOptions {
  readonly redis: RedisConnections
  readonly prefix: string
  /** The name of this replica. */
  readonly replica: string
  readonly fingerprint: Fingerprint
  readonly logger: Log
}

// Each replica registers this often, and counts even if three of its registrations are lost.
const registerMs = 5_000
const liveMs = 20_000
/** How long the last fingerprint is kept after all replicas have ended: longer than most entries. */
const rememberMs = 30 * 24 * 3_600_000
/** The most registrations that are kept; beyond it those of others are dropped. No cache has more replicas. */
const mostReplicas = 1_000
/** The most differing replicas that are named. */
const mostNamed = 20

/**
 * Registers a replica and returns all others: name, fingerprint, name, fingerprint… A registration counts until its end by
 * the clock of Redis. An end too far in the future is dropped as well. KEYS: registrations, the last fingerprint. ARGV: replica, fingerprint, time
 * to live, most registrations. The first element is the fingerprint that was registered last, by any replica, within `rememberMs`.
 */
const registerScript = new Script(`
local all, me, own, ttl, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('TYPE', KEYS[2]).ok
local last = kept == 'string' and redis.call('GET', KEYS[2]) or ''
redis.call('SET', KEYS[2], own, 'PX', ARGV[5])
local kind = redis.call('TYPE', all).ok
if kind ~= 'none' and (kind ~= 'hash' or redis.call('HLEN', all) > most) then redis.call('UNLINK', all) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', all, me, own .. ' ' .. string.format('%.0f', now + ttl))
redis.call('PEXPIRE', all, ttl * 10)
local others = {last}
local registered = redis.call('HGETALL', all)
for i = 1, #registered, 2 do
  local fingerprint, ends = registered[i + 1]:match('^(%S+) (%d+)$')
  if not fingerprint or tonumber(ends) < now or tonumber(ends) > now + ttl then
    redis.call('HDEL', all, registered[i])
  elseif registered[i] ~= me then
    others[#others + 1] = registered[i]
    others[#others + 1] = fingerprint
  end
end
return others
`)

/** Reports this replica's configuration to the others, and finds those with another one. */
export class Fingerprints {
  readonly #options: FingerprintsOptions
  readonly #key: string
  #own: Fingerprint
  #differing: readonly Differing[] = []
  #compared = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: FingerprintsOptions) {
    this.#options = options
    this.#own = options.fingerprint
    // The braces keep it in the slot of the log.
    this.#key = `${options.prefix}:{log}:fingerprints`
    void options.redis.ready().then(() => this.#register())
  }

  get own(): Fingerprint {
    return this.#own
  }

  /** The replicas that differed at the last comparison; the first twenty. */
  get differing(): readonly Differing[] {
    return this.#differing
  }

  /** True if another replica may have another configuration, as far as this one knows. */
  get mayDiffer(): boolean {
    return !this.#compared || this.#differing.length > 0
  }

  /** Records that this replica's configuration has changed. */
  change(fingerprint: Fingerprint): void {
    this.#own = fingerprint
    if (this.#compared) void this.#register()
  }

  // Never rejects: while Redis is in trouble nothing is compared.
  async #register(): Promise<void> {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#register(), registerMs)
    this.#timer.unref()
    const { redis, replica } = this.#options
    const own = this.#own
    try {
      const reply = await registerScript.run(redis.small, [this.#key, `${this.#key}:last`], [replica, `${own.routes},${own.origins}`, liveMs, mostReplicas, rememberMs])
      if (own === this.#own && Array.isArray(reply)) this.#compare(reply.slice(1).map(String), String(reply[0] ?? ''))
    } catch { /* see above */ }
  }

  #compare(others: readonly string[], last: string): void {
    const differing: Differing[] = []
    for (let i = 0; i + 1 < others.length; i += 2) {
      const [routes, origins] = (others[i + 1] as string).split(',')
      const differs = ([['routes', routes], ['origins', origins]] as const).filter(([part, value]) => value !== this.#own[part]).map(([part]) => part)
      if (differs.length > 0) differing.push({ replica: others[i] as string, differs })
    }
    this.#differing = differing.slice(0, mostNamed)
    if (!this.#compared && differing.length > 0) this.#warn(differing)
    else if (!this.#compared && others.length === 0) this.#warnOfLast(last)
    this.#compared = true
  }

  #warn(differing: readonly Differing[]): void {
    const { logger, prefix } = this.#options
    const parts = [...new Set(differing.flatMap(({ differs }) => differs))].join(' and ')
    logger.warn(
      { replicas: differing.slice(0, mostNamed).map(({ replica }) => replica) },
      `${differing.length} of the replicas with this Redis and redis.keyPrefix ${
        JSON.stringify(prefix)
      } have other ${parts}: expected while a change is deployed; if they are another service, give each its own redis.keyPrefix`,
    )
  }

  // With other origins under one name, entries of another service would be served. Other routes have other keys.
  #warnOfLast(last: string): void {
    const [, origins] = last.split(',')
    if (origins === undefined || origins === '' || origins === this.#own.origins) return
    const { logger, prefix } = this.#options
    logger.warn(
      {},
      `the last replica with this Redis and redis.keyPrefix ${
        JSON.stringify(prefix)
      } had other origins, and its responses may still be stored: expected after a change; if it is another service, give each its own redis.keyPrefix, or purge everything`,
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    // Safe to ignore: the registration expires a little later.
    await this.#options.redis.small.call('HDEL', [this.#key, this.#options.replica]).catch(() => {})
  }
}
