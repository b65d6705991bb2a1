// Reads of many sessions in one turn of the event loop go to Redis in one write: a write costs more than all else of a read.
import { Cluster } from 'ioredis'
import type { RedisClient } from '../../store/redis/connect/guarded-client.ts'

/** Holds back what is written to the connection of a client until the present events are handled. */
export class Together {
  readonly #client: RedisClient
  #held = false

  constructor(client: RedisClient) {
    this.#client = client
  }

  /** Call it before a command. Does nothing in a cluster, which has many connections, or without a connection. */
  hold(): void {
    if (this.#held || this.#client instanceof Cluster || this.#client.status !== 'ready') return
    const { stream } = this.#client
    stream.cork()
    this.#held = true
    setImmediate(() => {
      this.#held = false
      stream.uncork()
    })
  }
}
