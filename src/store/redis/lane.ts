// One connection to Redis with a deadline and a breaker around every call.
import type { Cluster, Redis } from 'ioredis'

export type RedisClient = Redis | Cluster
export type RedisArgument = string | Buffer | number

/** Redis did not answer, in time or at all. Whether it did, or will do, what was asked is not known. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

// Answers that say that the server cannot work now, whatever is asked of it.
const unwell = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS)/
// Answers that say that it can be read, but takes nothing: a replica, a full memory, a disk that fails.
const refusing = /^(?:READONLY|OOM|MISCONF|NOREPLICAS)/

/** Failures in a row after which nobody is kept waiting for its deadline any more. */
const failuresToOpen = 5
// How often it is tried while it is out of order.
const probeMs = 200

/**
 * A client that never keeps anyone waiting. After five failures in a row it refuses every call at once, and tries by itself
 * whether Redis is well again: that is not what a caller's time is for. The deadline is our own, because a Cluster queues
 * calls whatever its options say, and a command that timed out may still run later: callers must not conclude that it did not.
 */
export class Lane {
  readonly client: RedisClient
  readonly #timeoutMs: number
  readonly #changed: (error: unknown) => void
  /** In a row. */
  #failures = 0
  #up: boolean | undefined
  /** The key that it last would not write; undefined while it takes what it is given. */
  #refused: string | undefined
  #probing = false
  #closed = false

  constructor(client: RedisClient, timeoutMs: number, changed: (error: unknown) => void) {
    this.client = client
    this.#timeoutMs = timeoutMs
    this.#changed = changed
    client.on('ready', () => {
      this.#failures = 0
      this.#set(true, undefined)
    })
    client.on('close', () => this.#set(false, undefined))
    // Having a listener is what keeps an 'error' from ending the process.
    client.on('error', (error: unknown) => this.#set(false, error))
  }

  /** undefined: it has not been tried to the end yet. */
  get healthy(): boolean | undefined {
    return this.#up === undefined ? undefined : this.#up && !this.#open && this.#refused === undefined
  }

  /**
   * Sends one command, its key first. Buffers come back as Buffers.
   * @throws RedisUnavailable when there is no answer in `timeoutMs`; ioredis' ReplyError when the answer is an error.
   */
  async call(command: string, args: RedisArgument[], timeoutMs = this.#timeoutMs): Promise<unknown> {
    if (this.#up === false || this.#open) throw new RedisUnavailable('Redis is out of reach')
    return this.#send(command, args, timeoutMs)
  }

  get #open(): boolean {
    return this.#failures >= failuresToOpen
  }

  async #send(command: string, args: RedisArgument[], timeoutMs: number): Promise<unknown> {
    try {
      const reply = await withDeadline(this.client.callBuffer(command, args), timeoutMs)
      this.#succeed()
      return reply
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError' && !unwell.test(error.message)) {
        this.#succeed()
        if (refusing.test(error.message)) this.#refuse(command, args, error)
        throw error
      }
      this.#failures++
      if (this.#open) {
        this.#changed(error)
        this.#probe()
      }
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable('Redis did not answer', { cause: error })
    }
  }

  // Reading goes on as it was; but nothing new is kept, and whoever watches should know. A server that is another one now may
  // have another role: it is asked again whether it writes, about the key that it refused, so that in a cluster it is the
  // same one.
  #refuse(command: string, args: RedisArgument[], error: Error): void {
    const before = this.#refused
    this.#refused = String(command === 'EVALSHA' || command === 'EVAL' ? args[2] : args[0])
    if (before !== undefined) return
    this.#changed(error)
    this.#probe()
  }

  #succeed(): void {
    const opened = this.#open
    this.#failures = 0
    if (opened) this.#changed(undefined)
  }

  // Nobody may call for long, and nothing but a call that succeeds says that it is well again.
  #probe(): void {
    if (this.#probing) return
    this.#probing = true
    setTimeout(() => {
      this.#probing = false
      if (this.#closed || (!this.#open && this.#refused === undefined)) return
      // Safe to ignore: a failure is counted by `#send`, and this goes on for as long as there are any.
      void this.#try().catch(() => {}).then(() => this.#probe())
    }, probeMs).unref()
  }

  async #try(): Promise<void> {
    if (this.#up === false) return // a connection that is made tells it
    if (this.#refused === undefined) return void await this.#send('PING', [], this.#timeoutMs)
    await this.#send('SET', [`${this.#refused.replace(/:probe$/, '')}:probe`, '', 'PX', probeMs], this.#timeoutMs)
    this.#refused = undefined
    this.#changed(undefined)
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
