// The wire between a replica and Redis: it delays, stalls, and breaks.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { hesitation, wait, type Random } from './random.ts'

export type Direction = 'there' | 'back'

/** A connection through the wire. */
interface Pair {
  readonly replica: Socket
  readonly redis: Socket
  /** True if a SUBSCRIBE was sent on it. */
  subscribes: boolean
  /** Nothing arrives on it any more, in either direction, and neither side is notified. */
  silent: boolean
}

/** A TCP proxy in front of Redis, for one replica. */
export class Wire {
  readonly #random: Random
  readonly #longestMs: number
  readonly #redis: { readonly port: number }
  readonly #server
  readonly #pairs = new Set<Pair>()
  /** Until when nothing passes, by direction: promises that resolve then. */
  readonly #stalls: Record<Direction, Promise<void> | undefined> = { there: undefined, back: undefined }
  /** The number of present interruptions: no connection is made until all are over. */
  #cuts = 0

  constructor(redis: { readonly port: number }, random: Random, longestMs: number) {
    this.#redis = redis
    this.#random = random
    this.#longestMs = longestMs
    this.#server = createServer((replica) => this.#join(replica))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
  }

  /** Stops one direction for this long: written bytes wait, and arrive in order. */
  stall(direction: Direction, ms: number): void {
    this.#stalls[direction] = new Promise((resolve) => {
      setTimeout(resolve, ms).unref()
    })
  }

  /** Breaks every connection, in the middle of its message. */
  cut(): void {
    for (const { replica, redis } of this.#pairs) {
      replica.destroy()
      // A command that its sender has given up may still arrive.
      if (this.#random.chance(0.5)) redis.destroy()
    }
  }

  /** Breaks every connection and lets none be made for this long. */
  sever(ms: number): void {
    setTimeout(this.hold(), ms)
  }

  /** As `sever`, until the returned function is called. */
  hold(): () => void {
    this.#cuts++
    this.cut()
    return () => void this.#cuts--
  }

  /** Silences one subscribing connection for ever, as if a firewall had dropped it. False if there is none. */
  silenceSubscriber(): boolean {
    const speaking = [...this.#pairs].filter(({ subscribes, silent, replica }) => subscribes && !silent && !replica.destroyed)
    if (speaking.length === 0) return false
    this.#random.pick(speaking).silent = true
    return true
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const { replica, redis } of this.#pairs) for (const socket of [replica, redis]) socket.destroy()
    })
  }

  #join(replica: Socket): void {
    if (this.#cuts > 0) {
      replica.on('error', () => {})
      replica.destroy()
      return
    }
    const redis = connect(this.#redis.port, '127.0.0.1')
    const pair: Pair = { replica, redis, subscribes: false, silent: false }
    this.#pairs.add(pair)
    this.#carry('there', replica, redis, pair)
    this.#carry('back', redis, replica, pair)
    const gone = (): void => {
      if (replica.destroyed && redis.destroyed) this.#pairs.delete(pair)
    }
    replica.on('close', gone)
    redis.on('close', gone)
  }

  // In order, each chunk with its delay. Bytes that were taken before the sender closed still arrive.
  #carry(direction: Direction, from: Socket, to: Socket, pair: Pair): void {
    from.setNoDelay(true)
    let queue: Promise<unknown> = Promise.resolve()
    from.on('data', (piece) => {
      if (direction === 'there') pair.subscribes ||= /\r\nsubscribe\r\n/i.test(piece.toString('latin1'))
      from.pause()
      queue = queue.then(async () => {
        await this.#stalls[direction]
        if (this.#random.chance(0.08)) await wait(hesitation(this.#random, this.#longestMs))
        if (!to.destroyed && !pair.silent) to.write(piece)
        from.resume()
      })
    })
    from.on('error', () => {})
    from.on('close', () => {
      void queue.then(() => to.end())
      // A receiver that does not close by itself is not waited for.
      if (direction === 'back') void queue.then(() => to.destroySoon())
    })
  }
}
