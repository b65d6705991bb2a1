// A bound on the sockets to all origins of a process, so that clients and the admin listener keep some descriptors.
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { SpringhouseError } from '../../errors.ts'

/** Holds idle connections that it can close. */
export interface IdleHolder {
  /** Closes the connection that has been idle for longest. False if none is idle. */
  closeIdle(): boolean
}

/** Counts the open sockets to origins. At the bound, an idle connection is closed for each new one. */
export class SocketBudget {
  readonly #most: number
  readonly #holders = new Set<IdleHolder>()
  /** Open sockets. */
  readonly #sockets = new WeakSet<Socket>()
  #open = 0

  /** @param most most sockets at once */
  constructor(most: number) {
    this.#most = most
  }

  /** Lets a pool's idle connections be closed for others, until `leave`. */
  join(holder: IdleHolder): void {
    this.#holders.add(holder)
  }

  leave(holder: IdleHolder): void {
    this.#holders.delete(holder)
  }

  /** Takes a place for a socket that is about to be opened. @throws SpringhouseError PROXY_EXHAUSTED if there is none */
  take(): void {
    if (this.#open >= this.#most && !this.#closeIdle()) {
      throw new SpringhouseError('PROXY_EXHAUSTED', { detail: `${this.#most} connections to origins are open, the most that the limit of open files allows` })
    }
    this.#open++
  }

  /** Gives the place back when the socket closes. */
  giveBackAfter(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.destroyed(socket))
  }

  /** Gives the place of a destroyed socket back. Its descriptor is free at once. Its event comes later, and a new socket must not wait for it. */
  destroyed(socket: Socket): void {
    if (this.#sockets.delete(socket)) this.giveBack()
  }

  giveBack(): void {
    this.#open--
  }

  #closeIdle(): boolean {
    for (const holder of this.#holders) if (holder.closeIdle()) return true
    return false
  }
}

/** Returns a connector whose sockets count in a budget. */
export function withinBudget(sockets: SocketBudget, connector: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    try {
      sockets.take()
    } catch (error) {
      // Runs after the caller, as the failure of a real connection does.
      return queueMicrotask(() => callback(error as SpringhouseError, null))
    }
    try {
      connector(options, (...result) => {
        if (result[0] === null) sockets.giveBackAfter(result[1])
        else sockets.giveBack()
        callback(...result)
      })
    } catch (error) {
      // Node rejected the TLS options.
      sockets.giveBack()
      throw error
    }
  }
}
