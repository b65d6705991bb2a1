// The keys of one provider over time: read when they are old or a token names another one, seldom, and kept while it is out of reach.
import type { Clock } from '../../clock.ts'
import type { Log } from '../../store/redis/connect/log.ts'
import type { Jose } from './jose.ts'
import { KeySetError, type KeyFault, type KeyPlace } from './key-place.ts'
import { readKeySet, type PublicKeys } from './public-keys.ts'

export interface ProviderKeysOptions {
  readonly name: string
  readonly place: KeyPlace
  readonly algorithms: readonly string[]
  readonly refreshMs: number
  readonly cooldownMs: number
  readonly keepStaleMs: number
  readonly clock: Clock
  readonly logger: Log
  readonly jose: Jose
  readonly fetched: (outcome: 'fetched' | KeyFault) => void
}

export class ProviderKeys {
  readonly #options: ProviderKeysOptions
  #keys: PublicKeys | undefined
  #text = ''
  #readMs = -Infinity
  /** When the last attempt began. Stamped before it, so that failures count too. */
  #triedMs = -Infinity
  #reading: Promise<void> | undefined
  #failing = false
  #closed = false
  /** Goes up when the keys change. A token that other keys verified is verified anew. */
  revision = 0

  constructor(options: ProviderKeysOptions) {
    this.#options = options
  }

  /** The keys that count now; undefined if there are none yet, or the last ones are too old. Starts to read newer ones in time. */
  current(): PublicKeys | undefined {
    const ageMs = this.#ageMs()
    if (ageMs >= this.#options.refreshMs) this.#readInTurn()
    return ageMs > this.#options.refreshMs + this.#options.keepStaleMs ? undefined : this.#keys
  }

  /** The keys that count now. If they are much older than `refresh`, because no request needed them, newer ones are read first. */
  async settled(): Promise<PublicKeys | undefined> {
    // While the provider is out of reach nobody waits for it, as long as there are keys.
    if (this.#ageMs() >= 2 * this.#options.refreshMs && !(this.#failing && this.current() !== undefined)) await this.#readInTurn()
    return this.current()
  }

  /** A token names a key that is not here: reads the keys anew, unless they were read just now. Returns what counts then. */
  async renewed(): Promise<PublicKeys | undefined> {
    await this.#readInTurn()
    return this.current()
  }

  /** Reads the keys now, whenever they were read last: at the start, and when the operator reloads. Never rejects. */
  reload(): Promise<void> {
    return this.#reading ?? this.#read()
  }

  close(): void {
    this.#closed = true
    this.#options.place.close()
  }

  #ageMs(): number {
    return this.#options.clock.monotonic() - this.#readMs
  }

  /** The attempt that goes on, or a new one if the last is long enough ago. */
  #readInTurn(): Promise<void> | undefined {
    if (this.#reading !== undefined) return this.#reading
    return this.#options.clock.monotonic() - this.#triedMs < this.#options.cooldownMs ? undefined : this.#read()
  }

  #read(): Promise<void> {
    this.#triedMs = this.#options.clock.monotonic()
    const reading = this.#readNow().finally(() => {
      this.#reading = undefined
    })
    this.#reading = reading
    return reading
  }

  async #readNow(): Promise<void> {
    const { place, jose, algorithms, clock, fetched } = this.#options
    try {
      const text = await place.read()
      if (text !== this.#text) {
        this.#keys = read(jose, text, algorithms)
        this.#text = text
        this.revision++
      }
      this.#readMs = clock.monotonic()
      fetched('fetched')
      this.#recovered()
    } catch (error) {
      const fault = error instanceof KeySetError ? error : new KeySetError('invalid', (error as Error).message)
      fetched(fault.fault)
      this.#failed(fault)
    }
  }

  /** Logs the first of a run of failures. */
  #failed({ message }: KeySetError): void {
    if (this.#failing || this.#closed) return
    this.#failing = true
    const { name, logger } = this.#options
    const then = this.#keys === undefined ? 'its tokens cannot be verified' : 'the last ones stay in use until keepStale'
    logger.warn({ source: name, reason: message }, `the keys of auth.jwt ${name} could not be read, and ${then}`)
  }

  #recovered(): void {
    const { name, logger } = this.#options
    const { size = 0 } = this.#keys ?? {}
    if (this.#failing) logger.info({ source: name, keys: size }, `the keys of auth.jwt ${name} were read`)
    if (size === 0) logger.warn({ source: name }, `the key set of auth.jwt ${name} has no key for its algorithms, so none of its tokens can be verified`)
    this.#failing = false
  }
}

function read(jose: Jose, text: string, algorithms: readonly string[]): PublicKeys {
  try {
    return readKeySet(jose, text, algorithms)
  } catch (error) {
    throw new KeySetError('invalid', `the response ${(error as Error).message}`)
  }
}
