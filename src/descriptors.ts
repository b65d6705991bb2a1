// The file descriptors of this process: the system's limit, and its division between clients, origins and the rest.

/** A division of the descriptors, so that no use of them can take those of another. */
export interface DescriptorShares {
  /** Most client connections that are served, each of which may need a connection to an origin. */
  readonly clients: number
  /** Client connections beyond these, which are open only to get a 503. */
  readonly refused: number
  readonly origins: number
  /** Connections to the admin listener. */
  readonly admin: number
}

/**
 * Divides a limit. The rest, 48 and a thirty-second of the limit, is left for listeners, Redis, the resolver and files. With so few
 * that nothing is left for clients, each use still gets one.
 * @param maxClients the number that the configuration allows, if it gives one
 */
export function shareDescriptors(limit: number, maxClients = Infinity): DescriptorShares {
  if (limit === Infinity) return { clients: maxClients, refused: 1_024, origins: Infinity, admin: 1_024 }
  const admin = Math.min(1_024, 12 + Math.floor(limit / 128))
  const left = limit - 48 - Math.floor(limit / 32) - admin
  const refused = atLeastOne(Math.min(1_024, left / 5))
  const clients = Math.min(maxClients, atLeastOne((left - refused) / 2))
  return { clients, refused, origins: atLeastOne(left - refused - clients), admin }
}

function atLeastOne(count: number): number {
  return Math.max(1, Math.floor(count))
}

/** Returns the most files that this process may have open; Infinity if there is no limit, or none is known. */
export function openFilesLimit(): number {
  // The types of Node 20 lack it. Without it, a report looks up the name of each connected peer, and blocks for that.
  const reports = process.report as { excludeNetwork?: boolean; getReport(): object }
  const before = reports.excludeNetwork
  reports.excludeNetwork = true
  const { userLimits } = reports.getReport() as { readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } } }
  reports.excludeNetwork = before ?? false
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Infinity
}

/** A limit below this one is named at the start. */
const lowLimit = 4_096

/** Returns a sentence about how many clients the limit allows; undefined if the limit is high, and allows as many as configured. */
export function descriptorNotice(limit: number, maxClients = Infinity): string | undefined {
  const { clients } = shareDescriptors(limit, maxClients)
  const fewer = maxClients !== Infinity && clients < maxClients
  if (limit >= lowLimit && !fewer) return undefined
  return `at most ${clients} at once in each process: the limit of open files is ${limit} (ulimit -n)${fewer ? `, too low for proxy.maxClients ${maxClients}` : ''}`
}
