// A Redis client with a deadline and a circuit breaker around every call.
import { Cluster, Command, type Redis } from 'ioredis'

export type RedisClient = Redis | Cluster
export type RedisArgument = string | Buffer | number

/** Redis did not respond, in time or at all. The command may have been executed, or may be executed later. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
  /** True if the command was not sent: then it is never executed. */
  readonly unsent: boolean

  constructor(message: string, options: { readonly cause?: unknown; readonly unsent?: true } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.unsent = options.unsent === true
  }
}

// Replies of a server that cannot work now, whatever the command.
const unwell = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN|NOAUTH|WRONGPASS)/
// Replies of a server that can be read, but refuses writes: a replica, a full memory, a disk that fails.
const refusing = /^(?:READONLY|OOM|MISCONF|NOREPLICAS)/

// Replies of a working server whose slot is being moved to another node, so that its content is unknown for now. Or the call
// was waiting on a node that was lost, or is a master no longer.
const moving = /^(?:TRYAGAIN|UNBLOCKED|MOVED|ASK)/

/** Consecutive failures after which no call waits for its deadline any more. */
const failuresToOpen = 5
// How often a failed server is probed.
const probeMs = 200

// The state of a server: a cluster has many, and one that hangs must not stop the calls to the others.
interface Server {
  /** Consecutive failures. */
  failures: number
  /** The key of a failed call: a probe for this key finds its present owner. */
  key: string | Buffer | undefined
}

// Far more than a cluster has; beyond it all states are dropped.
const mostServers = 200

/**
 * A client whose calls never wait long. After five consecutive failures it refuses every call at once, and probes Redis by
 * itself, without using a caller's time. The deadline is separate from ioredis', because a Cluster queues calls despite its
 * options. A command that timed out may still run later: callers must not conclude that it did not.
 */
export class GuardedClient {
  readonly client: RedisClient
  /** Records an error reply from Redis, also one inside the reply of a script. */
  readonly answered: (error: Error) => void
  readonly #timeoutMs: number
  readonly #changed: (error: unknown) => void
  /** By host and port of a slot's owner; '' if there is only one server, or no slot is concerned. */
  readonly #servers = new Map<string, Server>()
  #up: boolean | undefined
  /** The key of the last refused write; undefined while writes are accepted. */
  #refused: string | undefined
  #probing = false
  #closed = false

  /** @param answered called with each error reply from Redis */
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
    // A listener keeps an 'error' from ending the process.
    client.on('error', (error: unknown) => this.#set(false, error))
  }

  /** `undefined` until the first connection attempt ends. False if any of several servers is out of order. */
  get healthy(): boolean | undefined {
    return this.#up === undefined ? undefined : this.#up && !this.#anyOpen() && this.#refused === undefined
  }

  /** True if no server responds, or none did when last tried. */
  get outOfReach(): boolean {
    if (this.#up !== true) return this.#up === false
    for (const server of this.#servers.values()) {
      if (!isOpen(server)) return false
    }
    return this.#servers.size > 0
  }

  /**
   * Sends one command, its key first. Returns Buffers for bulk strings.
   * @throws RedisUnavailable if there is no reply within `timeoutMs`; ioredis' ReplyError if the reply is an error.
   */
  async call(command: string, args: RedisArgument[], timeoutMs = this.#timeoutMs): Promise<unknown> {
    const request = new Command(command, args, { replyEncoding: null })
    const server = this.#serverOf(request)
    if (this.#up === false || isOpen(server)) throw new RedisUnavailable('Redis is out of reach', { unsent: true })
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

  // Returns the owner as far as the client knows: every MOVED corrects the table of slots.
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
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable('Redis did not respond', { cause: error })
    }
  }

  // Reads go on, but nothing new is stored, and `healthy` shows it. After a failover the server may accept writes again. The
  // probe writes next to the refused key, so that in a cluster it reaches the same server.
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

  // Calls may be rare, and only a successful call proves recovery.
  #probe(): void {
    if (this.#probing) return
    this.#probing = true
    setTimeout(() => {
      this.#probing = false
      if (this.#closed || (!this.#anyOpen() && this.#refused === undefined)) return
      // Safe to ignore: `#send` counts a failure, and the probes go on while there are any.
      void Promise.allSettled([...this.#servers].filter(([, server]) => isOpen(server)).map(([name, server]) => this.#try(name, server)))
        .then(() => this.#tryToWrite()).catch(() => {}).then(() => this.#probe())
    }, probeMs).unref()
  }

  async #try(name: string, server: Server): Promise<void> {
    if (this.#up === false) return // a new connection resets the state
    const request = name === '' || server.key === undefined
      ? new Command('PING', [], { replyEncoding: null })
      : new Command('EXISTS', [server.key], { replyEncoding: null })
    // Another server owns its slots now, and this one receives no more commands.
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

/** Returns the promise's value, or throws RedisUnavailable if it has none within `timeoutMs`. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => reject(new RedisUnavailable(`no reply in ${timeoutMs} ms`))
    // Timers run before sockets in a turn of the event loop: after a long turn, replies that have arrived are read first.
    timer = setTimeout(() => setImmediate(giveUp), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
