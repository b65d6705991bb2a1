// The keys that sign the field: those of the configuration, or a pair that replicas share in Redis.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SessionsConfig } from '../config/schema.ts'
import { SpringhouseError } from '../errors.ts'
import type { GuardedClient } from '../store/redis/connect/guarded-client.ts'
import { Script } from '../store/redis/connect/script.ts'
import { keySet, newPrivateKey, signingKey, type SigningKey } from './jws.ts'

/** The present keys. */
export interface Keyring {
  /** The key that signs. @throws SpringhouseError SESSION_UNAVAILABLE while there is none yet */
  current(): SigningKey
  /** The public keys as a JSON text (RFC 7517). @throws as `current` */
  published(): string
  /** Goes up when the signing key changes. */
  readonly revision: number
}

/** A fixed list of keys, which `replace` changes. */
export class FixedKeys implements Keyring {
  #keys: readonly SigningKey[]
  #published: string
  revision = 0

  constructor(keys: readonly SigningKey[]) {
    this.#keys = keys
    this.#published = keySet(keys)
  }

  replace(keys: readonly SigningKey[]): void {
    this.#keys = keys
    this.#published = keySet(keys)
    this.revision++
  }

  current(): SigningKey {
    const [first] = this.#keys
    if (first === undefined) throw new SpringhouseError('SESSION_UNAVAILABLE', { detail: 'there is no key to sign with yet' })
    return first
  }

  published(): string {
    this.current()
    return this.#published
  }
}

/**
 * Reads the keys of a configuration.
 * @throws Error that names the setting and the file
 */
export function configuredKeys(keys: SessionsConfig['keys']): SigningKey[] {
  return keys.map(({ id, alg, keyFile, secret }, index) => {
    const path = `sessions.keys[${index}]`
    try {
      return signingKey(id, alg, keyFile === undefined ? secret ?? '' : readFileSync(keyFile, 'utf8'))
    } catch (error) {
      throw new Error(`${path}: ${keyFile ?? 'secret'} ${(error as NodeJS.ErrnoException).code === undefined ? (error as Error).message : 'cannot be read'}`, { cause: error })
    }
  })
}

const day = 86_400_000
const renewMs = 30 * day
const keepMs = 90 * day
// A new key is published for longer than key sets are cached before it signs.
const publishMs = 600_000
const refreshMs = 60_000
const againMs = 250

/**
 * Keeps the newest keys, and adds one if the newest is too old. It is one step, so that replicas that start at once agree.
 * KEYS: keys. ARGV: id, PEM, renewal and life in milliseconds. Returns id, age in milliseconds and PEM of each key.
 */
const keysScript = new Script(`
local key = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local all, found, youngest = redis.call('HGETALL', key), {}, nil
for i = 1, #all, 2 do
  local made, pem = string.match(all[i + 1], '^(%d+):(.*)$')
  local age = made and now - tonumber(made)
  if not age or age > tonumber(ARGV[4]) then redis.call('HDEL', key, all[i])
  else
    found[#found + 1] = { all[i], age, pem }
    if not youngest or age < youngest then youngest = age end
  end
end
if not youngest or youngest > tonumber(ARGV[3]) then
  redis.call('HSET', key, ARGV[1], string.format('%.0f', now) .. ':' .. ARGV[2])
  found[#found + 1] = { ARGV[1], 0, ARGV[2] }
end
redis.call('PEXPIRE', key, ARGV[4])
local reply = {}
for _, each in ipairs(found) do
  reply[#reply + 1] = each[1]
  reply[#reply + 1] = string.format('%.0f', each[2])
  reply[#reply + 1] = each[3]
end
return reply
`)

/** Keys that replicas share in Redis: made by the first replica, renewed, and read again every minute. */
export class SharedKeys implements Keyring {
  readonly #lane: GuardedClient
  readonly #key: string
  readonly #keys = new FixedKeys([])
  /** Offered if Redis has no young key. */
  readonly #offer = { id: randomBytes(9).toString('base64url'), pem: newPrivateKey() }
  #seen = ''
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(lane: GuardedClient, prefix: string) {
    this.#lane = lane
    this.#key = `${prefix}:{session-keys}`
  }

  get revision(): number {
    return this.#keys.revision
  }

  current(): SigningKey {
    return this.#keys.current()
  }

  published(): string {
    return this.#keys.published()
  }

  /** Reads the keys, now and from time to time. Never rejects: without Redis there are none until it is back. */
  async refresh(): Promise<void> {
    let waitMs = refreshMs
    try {
      const reply = await keysScript.run(this.#lane, [this.#key], [this.#offer.id, this.#offer.pem, renewMs, keepMs])
      this.#take(Array.isArray(reply) ? reply.map(String) : [])
    } catch {
      // The connection has logged why.
      if (this.#seen === '') waitMs = againMs
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.refresh(), waitMs).unref()
  }

  #take(parts: readonly string[]): void {
    const found: { readonly key: SigningKey; readonly ageMs: number }[] = []
    for (let i = 0; i + 2 < parts.length; i += 3) {
      try {
        found.push({ key: signingKey(parts[i] as string, 'EdDSA', parts[i + 2] as string), ageMs: Number(parts[i + 1]) })
      } catch { /* Something else wrote it: it signs nothing. */ }
    }
    // The youngest key that all backends can know by now; if there is none, the oldest.
    found.sort((a, b) => a.ageMs - b.ageMs)
    const signer = found.find(({ ageMs }) => ageMs >= publishMs) ?? found.at(-1)
    if (signer === undefined) return
    const keys = [signer, ...found.filter(each => each !== signer)].map(({ key }) => key)
    const seen = keys.map(({ id }) => id).join(' ')
    if (seen === this.#seen) return
    this.#seen = seen
    this.#keys.replace(keys)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}

/** A pair for the only process. Backends read the new key from the key set after a restart. */
export function ownKey(): FixedKeys {
  return new FixedKeys([signingKey(randomBytes(9).toString('base64url'), 'EdDSA', newPrivateKey())])
}
