// The servers of one origin, and the choice between them.
import type { BaseLogger } from 'pino'
import type { Clock } from '../clock.ts'
import type { OriginConfig } from './config.ts'
import { OriginServer } from './server.ts'

export class OriginPool {
  readonly servers: readonly OriginServer[]
  readonly config: OriginConfig
  closed = false
  #turn = 0

  constructor(origin: string, config: OriginConfig, clock: Clock, logger: BaseLogger) {
    this.config = config
    this.servers = config.servers.map((url) => new OriginServer(origin, url, config, clock, logger))
  }

  /**
   * The server for the next request; undefined when every one is full. Where all are out, all are tried: they may be
   * thought dead wrongly, and refusing for them helps nobody.
   */
  choose(): OriginServer | undefined {
    return this.#choose(undefined)
  }

  /** Another server than the one that just failed; undefined when there is none. */
  another(than: OriginServer): OriginServer | undefined {
    return this.servers.length === 1 ? undefined : this.#choose(than)
  }

  #choose(avoid: OriginServer | undefined): OriginServer | undefined {
    const { servers } = this
    const start = this.#turn
    this.#turn = (this.#turn + 1) % servers.length
    let best: OriginServer | undefined
    let spare: OriginServer | undefined
    let anyHealthy = false
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(start + i) % servers.length] as OriginServer
      if (server === avoid) continue
      anyHealthy ||= server.healthy
      if (server.full) continue
      if (!server.healthy) spare = lessPending(server, spare)
      else if (this.config.balance === 'least-pending') best = lessPending(server, best)
      else best ??= server
    }
    // A full pool does not overflow into its dead servers.
    return this.#trial(avoid) ?? best ?? (anyHealthy ? undefined : spare)
  }

  /** An ejected server whose term is over, and which gets this request as its trial. */
  #trial(avoid: OriginServer | undefined): OriginServer | undefined {
    for (const server of this.servers) {
      if (!server.healthy && server !== avoid && !server.full && server.admits()) return server
    }
    return undefined
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all(this.servers.map((server) => server.close()))
  }
}

/** On a tie the one before: from where the turn stands, so that equally loaded servers share. */
function lessPending(server: OriginServer, before: OriginServer | undefined): OriginServer {
  return before === undefined || server.pending < before.pending ? server : before
}
