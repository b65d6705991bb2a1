// Resolves host names to addresses, again at an interval.
import { ADDRCONFIG } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Clock } from '../clock.ts'

/** Resolves to every address of a host name. Rejects, or resolves to none, if the name cannot be resolved now. */
export type ResolveHost = (host: string) => Promise<readonly string[]>

/**
 * Resolves by the system's resolver: /etc/hosts, DNS, or as the machine is configured. Leaves out an address family that this
 * machine has no address of, because it could not be reached.
 */
export const systemResolve: ResolveHost = async (host) => (await lookup(host, { all: true, hints: ADDRCONFIG })).map(({ address }) => address)

/** How often a name is resolved: often enough to notice added and removed containers, and a small load for a resolver. */
export const resolveEveryMs = 2_000

/** The shortest time between two lookups of a name, if one of its servers fails. */
const soonestMs = 100

/** Returns the host of a URL for the system: an IPv6 address has no brackets. */
export function plainHost(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

/** Returns whether a host may have several, changing addresses: it is neither an address nor this machine. */
export function isResolved(host: string): boolean {
  return isIP(host) === 0 && host !== 'localhost'
}

export interface DnsWatcher {
  /** Resolves the name now, because its addresses may have changed. Limited in rate. */
  refreshSoon(): void
  stop(): void
}

/**
 * Resolves a name now, and then at an interval, until stopped. The timer keeps no process alive. Reports the first of a run of
 * failures and keeps the known addresses: a failing resolver does not mean failing servers.
 */
export function watchAddresses(host: string, { resolve, everyMs, clock, resolved, failed }: {
  readonly resolve: ResolveHost
  readonly everyMs: number
  readonly clock: Clock
  /** Called with each result: at least one address, sorted, without duplicates. */
  resolved(addresses: readonly string[]): void
  failed(error: unknown): void
}): DnsWatcher {
  let asking = false
  let askedMs = -Infinity
  let failing = false
  let stopped = false

  async function ask(): Promise<void> {
    // If the resolver is slower than the interval, there is still only one lookup at a time.
    if (asking || stopped) return
    asking = true
    askedMs = clock.monotonic()
    try {
      const addresses = [...new Set(await resolve(host))].sort()
      if (stopped) return
      if (addresses.length === 0) throw new Error(`${host} has no address`)
      failing = false
      resolved(addresses)
    } catch (error) {
      if (!stopped && !failing) failed(error)
      failing = true
    } finally {
      asking = false
    }
  }

  const timer = setInterval(() => void ask(), everyMs)
  timer.unref()
  void ask()
  return {
    refreshSoon: () => {
      if (clock.monotonic() - askedMs >= soonestMs) void ask()
    },
    stop: () => {
      stopped = true
      clearInterval(timer)
    },
  }
}
