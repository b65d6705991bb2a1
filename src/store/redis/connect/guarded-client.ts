// One client of Redis with a deadline and a breaker around every call.
import { Cluster, Command, type Redis } from 'ioredis'

export type RedisClient = Redis | Cluster
export type RedisArgument = string | Buffer | number

/** Redis did not answer, in time or at all. Whether it did, or will do, what was asked is not known. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

// Answers that say that the server cannot work now, whatever is asked of it.
const unwell = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN|NOAUTH|WRONGPASS)/
// Answers that say that it can be read, but takes nothing: a replica, a full memory, a disk that fails.
const refusing = /^(?:READONLY|OOM|MISCONF|NOREPLICAS)/

// Answers of one that is well and says that a slot is on its way to another node, so that nobody can tell yet what lies
// there; or that it was waiting for something in one that has gone, or is a master no longer.
const moving = /^(?:TRYAGAIN|UNBLOCKED|MOVED|ASK)/

/** Failures in a row after which nobody is kept waiting for its deadline any more. */
const failuresToOpen = 5
// How often it is tried while it is out of order.
const probeMs = 200

// What is known of a server: a cluster has many, and one that hangs must not stop the calls to the others.
interface Server {
  /** In a row. */
  failures: number
  /** What a call that failed was about: asking for it again finds whoever has it now. */
  key: string | Buffer | undefined
}

// Far more than a cluster has; what is gone from one is forgotten then.
const mostServers = 200

/**
 * A client that never keeps anyone waiting. After five failures in a row it refuses every call at once, and tries by itself
 * whether Redis is well again: that is not what a caller's time is for. The deadline is our own, because a Cluster queues
 * calls whatever its options say, and a command that timed out may still run later: callers must not conclude that it did not.
 */
export class GuardedClient {
  readonly client: RedisClient
  /** Takes note of an error that Redis has answered, be it in the answer of a script. */
  readonly answered: (error: Error) => void
  readonly #timeoutMs: number
  readonly #changed: (error: unknown) => void
  /** By host and port of the owner of a slot; '' where there is only one server, or no slot is concerned. */
  readonly #servers = new Map<string, Server>()
  #up: boolean | undefined
  /** The key that it last would not write; undefined while it takes what it is given. */
  #refused: string | undefined
  #probing = false
  #closed = false

  /** @param answered told of each error that Redis answers */
  constructor(client: RedisClient, timeoutMs: number, changed: (error: unknown) => void, answered: (error: Error) => void = () => {}) {
    this.client = client
    this.answered = answered
    this.#timeoutMs = timeoutMs
    this.#changed = changed
    client.on('ready', () => {
      this.#servers.clear()
      this.#set(true, undefined)
    })
    client.on('close', () => this.#set(false, undefined))
    // Having a listener is what keeps an 'error' from ending the process.
    client.on('error', (error: unknown) => this.#set(false, error))
  }

  /** undefined: it has not been tried to the end yet. False also where one of several servers is out of order. */
  get healthy(): boolean | undefined {
    return this.#up === undefined ? undefined : this.#up && !this.#anyOpen() && this.#refused === undefined
  }

  /** Whether no server answers, or none did when last tried. */
  get outOfReach(): boolean {
    if (this.#up !== true) return this.#up === false
    for (const server of this.#servers.values()) {
      if (!isOpen(server)) return false
    }
    return this.#servers.size > 0
  }

  /**
   * Sends one command, its key first. Buffers come back as Buffers.
   * @throws RedisUnavailable when there is no answer in `timeoutMs`; ioredis' ReplyError when the answer is an error.
   */
  async call(command: string, args: RedisArgument[], timeoutMs = this.#timeoutMs): Promise<unknown> {
    const request = new Command(command, args, { replyEncoding: null })
    const server = this.#serverOf(request)
    if (this.#up === false || isOpen(server)) throw new RedisUnavailable('Redis is out of reach')
    return this.#send(request, server, timeoutMs)
  }

  #serverOf(request: Command): Server {
    const name = this.#ownerOf(request)
    let server = this.#servers.get(name)
    if (server === undefined) {
      if (this.#servers.size >= mostServers) this.#servers.clear()
      server = { failures: 0, key: undefined }
      this.#servers.set(name, server)
    }
    return server
  }

  // As far as the client knows: the table of slots is corrected by every MOVED.
  #ownerOf(request: Command): string {
    if (!(this.client instanceof Cluster)) return ''
    const slot = request.getSlot()
    return slot === null ? '' : this.client.slots[slot]?.[0] ?? ''
  }

  #anyOpen(): boolean {
    for (const server of this.#servers.values()) {
      if (isOpen(server)) return true
    }
    return false
  }

  async #send(request: Command, server: Server, timeoutMs: number): Promise<unknown> {
    try {
      const reply = await withDeadline(this.client.sendCommand(request) as Promise<unknown>, timeoutMs)
      this.#succeed(server)
      return reply
    } catch (error) {
      const answer = error instanceof Error && error.name === 'ReplyError' ? error : undefined
      if (answer === undefined || unwell.test(answer.message)) this.#fail(request, server, error)
      else {
        this.#succeed(server)
        this.answered(answer)
        if (refusing.test(answer.message)) this.#refuse(request, answer)
        if (!moving.test(answer.message)) throw answer
      }
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable('Redis did not answer', { cause: error })
    }
  }

  // Reading goes on as it was; but nothing new is kept, and whoever watches should know. A server that is another one now may
  // have another role: it is asked again whether it writes, about the key that it refused, so that in a cluster it is the
  // same one.
  #refuse(request: Command, error: Error): void {
    const before = this.#refused
    this.#refused = String(request.getKeys()[0] ?? '')
    if (before !== undefined) return
    this.#changed(error)
    this.#probe()
  }

  #succeed(server: Server): void {
    const opened = isOpen(server)
    server.failures = 0
    if (opened) this.#changed(undefined)
  }

  #fail(request: Command, server: Server, error: unknown): void {
    server.failures++
    if (!isOpen(server)) return
    server.key ??= request.getKeys()[0]
    this.#changed(error)
    this.#probe()
  }

  // Nobody may call for long, and nothing but a call that succeeds says that it is well again.
  #probe(): void {
    if (this.#probing) return
    this.#probing = true
    setTimeout(() => {
      this.#probing = false
      if (this.#closed || (!this.#anyOpen() && this.#refused === undefined)) return
      // Safe to ignore: a failure is counted by `#send`, and this goes on for as long as there are any.
      void Promise.allSettled([...this.#servers].filter(([, server]) => isOpen(server)).map(([name, server]) => this.#try(name, server)))
        .then(() => this.#tryToWrite()).catch(() => {}).then(() => this.#probe())
    }, probeMs).unref()
  }

  async #try(name: string, server: Server): Promise<void> {
    if (this.#up === false) return // a connection that is made tells it
    const request = name === '' || server.key === undefined
      ? new Command('PING', [], { replyEncoding: null })
      : new Command('EXISTS', [server.key], { replyEncoding: null })
    // Another has taken its slots over, and this one is asked for nothing any more.
    if (this.#ownerOf(request) !== name && this.#servers.delete(name)) this.#changed(undefined)
    await this.#send(request, this.#serverOf(request), this.#timeoutMs)
  }

  async #tryToWrite(): Promise<void> {
    if (this.#up === false || this.#refused === undefined) return
    const request = new Command('SET', [`${this.#refused.replace(/:probe$/, '')}:probe`, '', 'PX', probeMs], { replyEncoding: null })
    await this.#send(request, this.#serverOf(request), this.#timeoutMs)
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

function isOpen({ failures }: Server): boolean {
  return failures >= failuresToOpen
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
