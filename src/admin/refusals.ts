// Refused tokens and logins of the admin API: logged without the token, and limited for each address, so that no token can be guessed.
import { isIPv6 } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'

/** Refused tokens from one address within a minute. Further requests from it get 429. */
export const mostRefusals = 10
const periodMs = 60_000
/** The most addresses that are remembered; beyond it the oldest is forgotten. */
const mostAddresses = 1_000

interface Visitor {
  sinceMs: number
  refused: number
  /** Names of the tokens that were accepted from this address. They stay accepted, so that no neighbour can lock a client out. */
  readonly accepted: Set<string>
  /** When a token out of its scope was last logged. */
  scopeLineMs: number
}

/** A kind of refusal that is counted. */
interface Kind {
  readonly most: number
  /** The names of the invalid things, and of those that are refused afterwards, for the log. */
  readonly what: string
  readonly further: string
}

const bearers: Kind = { most: mostRefusals, what: 'admin tokens', further: 'requests' }

export class Refusals {
  readonly #clock: Clock
  readonly #logger: Pick<FastifyBaseLogger, 'warn'>
  readonly #kind: Kind
  readonly #visitors = new Map<string, Visitor>()

  constructor(clock: Clock, logger: Pick<FastifyBaseLogger, 'warn'>, kind: Kind = bearers) {
    this.#clock = clock
    this.#logger = logger
    this.#kind = kind
  }

  /**
   * Returns for how many seconds a request from an address is refused, whatever its token; undefined if the token decides.
   * @param name the name of the token, if it is valid
   */
  waitOf(address: string, name: string | undefined): number | undefined {
    const visitor = this.#visitors.get(network(address))
    if (visitor === undefined || visitor.refused < this.#kind.most || (name !== undefined && visitor.accepted.has(name))) return undefined
    const leftMs = visitor.sinceMs + periodMs - this.#clock.monotonic()
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : undefined
  }

  accepted(address: string, name: string): void {
    this.#visitor(address).accepted.add(name)
  }

  /** Records a token that is not valid. Logs the first of a minute, and the last before the limit. */
  refused(address: string): void {
    const visitor = this.#visitor(address)
    const nowMs = this.#clock.monotonic()
    if (nowMs - visitor.sinceMs >= periodMs) visitor.refused = 0
    if (visitor.refused === 0) visitor.sinceMs = nowMs
    visitor.refused++
    if (visitor.refused === 1) this.#logger.warn({ address }, 'an admin token is not valid: the request is refused')
    const { most, what, further } = this.#kind
    if (visitor.refused === most) this.#logger.warn({ address, refused: most }, `too many ${what} that are not valid: further ${further} from this address get 429 for a minute`)
  }

  /** Logs a valid token without the scope of a request, once a minute for each address. */
  outOfScope(address: string, name: string, scope: string): void {
    const visitor = this.#visitor(address)
    const nowMs = this.#clock.monotonic()
    if (nowMs - visitor.scopeLineMs < periodMs) return
    visitor.scopeLineMs = nowMs
    this.#logger.warn({ address, token: name, scope }, 'an admin token lacks the scope of a request: the request is refused')
  }

  #visitor(address: string): Visitor {
    const key = network(address)
    const known = this.#visitors.get(key)
    if (known !== undefined) return known
    const [oldest] = this.#visitors.keys()
    if (this.#visitors.size >= mostAddresses && oldest !== undefined) this.#visitors.delete(oldest)
    const visitor: Visitor = { sinceMs: -Infinity, refused: 0, accepted: new Set(), scopeLineMs: -Infinity }
    this.#visitors.set(key, visitor)
    return visitor
  }
}

/** Returns the address, or the first half of an IPv6 address: a client may have the whole rest of it. */
function network(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address
  const [head = '', tail = ''] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const last = tail === '' ? [] : tail.split(':')
  const all = address.includes('::') ? [...groups, ...Array<string>(Math.max(0, 8 - groups.length - last.length)).fill('0'), ...last] : groups
  return all.slice(0, 4).join(':')
}
