// One connection to Redis with a deadline and a breaker around every call.
import type { Cluster, Redis } from 'ioredis'
import type { Clock } from '../../clock.ts'
import { Breaker } from './breaker.ts'

export type RedisClient = Redis | Cluster
export type RedisArgument = string | Buffer | number

/** Redis did not answer, in time or at all. Whether it did, or will do, what was asked is not known. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

// Answers that say that the server cannot work now, whatever is asked of it.
const unwell = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|NOAUTH|WRONGPASS)/

// How often it is tried by itself while it is out of order.
const probeMs = 250

/**
 * A client that never keeps anyone waiting. The deadline is our own, because a Cluster queues calls whatever its options
 * say, and a command that timed out may still run later: callers must not conclude that it did not.
 */
export class Lane {
  readonly client: RedisClient
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #changed: (error: unknown) => void
  readonly #breaker = new Breaker()
  #up: boolean | undefined
  #probing = false
  #closed = false

  constructor(client: RedisClient, clock: Clock, timeoutMs: number, changed: (error: unknown) => void) {
    this.client = client
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#changed = changed
    client.on('ready', () => {
      this.#breaker.succeed()
      this.#set(true, undefined)
    })
    client.on('close', () => this.#set(false, undefined))
    // Having a listener is what keeps an 'error' from ending the process.
    client.on('error', (error: unknown) => this.#set(false, error))
  }

  /** undefined: it has not been tried to the end yet. */
  get healthy(): boolean | undefined {
    return this.#up === undefined ? undefined : this.#up && !this.#breaker.open
  }

  /**
   * Sends one command, its key first. Buffers come back as Buffers.
   * @throws RedisUnavailable when there is no answer in `timeoutMs`; ioredis' ReplyError when the answer is an error.
   */
  async call(command: string, args: RedisArgument[], timeoutMs = this.#timeoutMs): Promise<unknown> {
    if (this.#up === false || !this.#breaker.admits(this.#clock.monotonic())) throw new RedisUnavailable('Redis is out of reach')
    try {
      const reply = await withDeadline(this.client.callBuffer(command, args), timeoutMs)
      this.#succeed()
      return reply
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError' && !unwell.test(error.message)) {
        this.#succeed()
        throw error
      }
      this.#breaker.fail(this.#clock.monotonic())
      if (this.#breaker.open) {
        this.#changed(error)
        this.#probe()
      }
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable('Redis did not answer', { cause: error })
    }
  }

  #succeed(): void {
    const opened = this.#breaker.open
    this.#breaker.succeed()
    if (opened) this.#changed(undefined)
  }

  // Nobody may call for long, and nothing but a call that succeeds says that it is well again.
  #probe(): void {
    if (this.#probing) return
    this.#probing = true
    setTimeout(() => {
      this.#probing = false
      if (this.#closed || !this.#breaker.open) return
      // Safe to ignore: a failure is counted by `call`, and this goes on for as long as there are any.
      void this.call('PING', []).catch(() => {}).then(() => this.#probe())
    }, probeMs).unref()
  }

  close(): void {
    this.#closed = true
    this.client.disconnect()
  }

  #set(up: boolean, error: unknown): void {
    this.#up = up
    this.#changed(error)
  }
}

/** What the promise gives, or RedisUnavailable when it has given nothing in `timeoutMs`. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => reject(new RedisUnavailable(`no answer in ${timeoutMs} ms`))
    // Timers come before sockets in a turn of the event loop: after a long one, what has long been answered is read first.
    timer = setTimeout(() => setImmediate(giveUp), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
