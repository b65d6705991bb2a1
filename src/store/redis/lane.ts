// One client of Redis with a deadline and a breaker around every call.
import { Cluster, Command, type Redis } from 'ioredis'
import type { Clock } from '../../clock.ts'
import { Breaker } from './breaker.ts'

export type RedisClient = Redis | Cluster
export type RedisArgument = string | Buffer | number

/** Redis did not answer, in time or at all. Whether it did, or will do, what was asked is not known. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

// Answers that say that the server cannot work now, whatever is asked of it.
const unwell = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS|NOAUTH|WRONGPASS)/
// One that is well and says that a slot is on its way to another node, so that nobody can tell yet what lies there; or that
// it was waiting for something in one that has gone, or is a master no longer.
const moving = /^(?:TRYAGAIN|UNBLOCKED|MOVED|ASK)/

// How often it is tried by itself while it is out of order.
const probeMs = 250

// What is known of a server: a cluster has many, and one that hangs must not stop the calls to the others.
interface Guard {
  readonly breaker: Breaker
  /** What a call that failed last was about: asking for it again finds whoever has it now. */
  key: string | Buffer | undefined
}

// Far more than a cluster has; what is gone from one is forgotten then.
const mostGuards = 200

/**
 * A client that never keeps anyone waiting. The deadline is our own, because a Cluster queues calls whatever its options
 * say, and a command that timed out may still run later: callers must not conclude that it did not.
 */
export class Lane {
  readonly client: RedisClient
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #changed: (error: unknown) => void
  /** By host and port of the owner of a slot; '' where there is only one server, or no slot is concerned. */
  readonly #guards = new Map<string, Guard>()
  #up: boolean | undefined
  #probing = false
  #closed = false

  constructor(client: RedisClient, clock: Clock, timeoutMs: number, changed: (error: unknown) => void) {
    this.client = client
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#changed = changed
    client.on('ready', () => {
      this.#guards.clear()
      this.#set(true, undefined)
    })
    client.on('close', () => this.#set(false, undefined))
    // Having a listener is what keeps an 'error' from ending the process.
    client.on('error', (error: unknown) => this.#set(false, error))
  }

  /** undefined: it has not been tried to the end yet. False also where one of several servers is out of order. */
  get healthy(): boolean | undefined {
    return this.#up === undefined ? undefined : this.#up && !this.#anyOpen()
  }

  /**
   * Sends one command, its key first. Buffers come back as Buffers.
   * @throws RedisUnavailable when there is no answer in `timeoutMs`; ioredis' ReplyError when the answer is an error.
   */
  async call(command: string, args: RedisArgument[], timeoutMs = this.#timeoutMs): Promise<unknown> {
    const request = new Command(command, args, { replyEncoding: null })
    const guard = this.#guardOf(request)
    if (this.#up === false || !guard.breaker.admits(this.#clock.monotonic())) throw new RedisUnavailable('Redis is out of reach')
    try {
      const reply = await withDeadline(this.client.sendCommand(request) as Promise<unknown>, timeoutMs)
      this.#succeed(guard)
      return reply
    } catch (error) {
      const answer = error instanceof Error && error.name === 'ReplyError' ? error.message : ''
      if (answer !== '' && !unwell.test(answer)) {
        this.#succeed(guard)
        if (!moving.test(answer)) throw error
      } else this.#fail(guard, request, error)
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable('Redis did not answer', { cause: error })
    }
  }

  #guardOf(request: Command): Guard {
    const name = this.#ownerOf(request)
    let guard = this.#guards.get(name)
    if (guard === undefined) {
      if (this.#guards.size >= mostGuards) this.#guards.clear()
      guard = { breaker: new Breaker(), key: undefined }
      this.#guards.set(name, guard)
    }
    return guard
  }

  // As far as the client knows: the table of slots is corrected by every MOVED.
  #ownerOf(request: Command): string {
    if (!(this.client instanceof Cluster)) return ''
    const slot = request.getSlot()
    return slot === null ? '' : this.client.slots[slot]?.[0] ?? ''
  }

  #succeed(guard: Guard): void {
    const opened = guard.breaker.open
    guard.breaker.succeed()
    if (opened) this.#changed(undefined)
  }

  #fail(guard: Guard, request: Command, error: unknown): void {
    guard.breaker.fail(this.#clock.monotonic())
    if (!guard.breaker.open) return
    guard.key = request.getKeys()[0]
    this.#changed(error)
    this.#probe()
  }

  #anyOpen(): boolean {
    for (const { breaker } of this.#guards.values()) {
      if (breaker.open) return true
    }
    return false
  }

  // Nobody may call for long, and nothing but a call that succeeds says that it is well again.
  #probe(): void {
    if (this.#probing) return
    this.#probing = true
    setTimeout(() => {
      this.#probing = false
      if (this.#closed || !this.#anyOpen()) return
      void Promise.all([...this.#guards].map(([name, guard]) => this.#try(name, guard))).then(() => this.#probe())
    }, probeMs).unref()
  }

  async #try(name: string, { breaker, key }: Guard): Promise<void> {
    if (!breaker.open) return
    const [command, args] = key === undefined || !(this.client instanceof Cluster) ? ['PING', []] as const : ['EXISTS', [key]] as const
    // Another has taken its slots over, and this one is asked for nothing any more.
    if (this.#ownerOf(new Command(command, [...args])) !== name && this.#guards.delete(name)) this.#changed(undefined)
    // Safe to ignore: a failure is counted by `call`, and this goes on for as long as there are any.
    await this.call(command, [...args]).catch(() => {})
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
    timer = setTimeout(() => reject(new RedisUnavailable(`no answer in ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
