// The addresses behind a host name, asked for again and again.
import { ADDRCONFIG } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Clock } from '../clock.ts'

/** Every address of a host name. Rejects, or gives none, when that cannot be told now. */
export type ResolveHost = (host: string) => Promise<readonly string[]>

/**
 * The system's own way: /etc/hosts, DNS, whatever the machine is set up for. Without the family that this machine has no
 * address of, which could not be reached.
 */
export const systemResolve: ResolveHost = async (host) => (await lookup(host, { all: true, hints: ADDRCONFIG })).map(({ address }) => address)

/** How often a name is resolved: soon enough for a container that was added or taken away, and next to nothing for a resolver. */
export const resolveEveryMs = 2_000

/** How soon it may be resolved again, when a server that it named does not answer. */
const soonestMs = 100

/** A URL's host as the system takes it: an IPv6 address without its brackets. */
export function plainHost(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

/** Whether a host may have several addresses that change: not an address itself, and not this machine. */
export function isResolved(host: string): boolean {
  return isIP(host) === 0 && host !== 'localhost'
}

export interface DnsWatcher {
  /** What it resolves to may have changed: asks before its time, but not all the time. */
  refreshSoon(): void
  stop(): void
}

/**
 * Resolves a name now, and then at an interval, until it is stopped. The timer keeps no process alive. A failure is told
 * once, when it begins, and changes nothing: that a resolver is out of order says nothing of the servers.
 */
export function watchAddresses(host: string, { resolve, everyMs, clock, resolved, failed }: {
  readonly resolve: ResolveHost
  readonly everyMs: number
  readonly clock: Clock
  /** Called with each answer; sorted, each once, at least one. */
  resolved(addresses: readonly string[]): void
  failed(error: unknown): void
}): DnsWatcher {
  let asking = false
  let askedMs = -Infinity
  let failing = false
  let stopped = false

  async function ask(): Promise<void> {
    // A resolver that is slower than the interval is not asked twice at once.
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
