// Shows on a terminal how the replicas apply a purge: a line that changes with each acknowledgement.
import { followAdmin, type AdminAccess } from './admin-client.ts'
import { printable } from './columns.ts'
import { painted } from './output.ts'

interface Told {
  readonly live: number
  readonly acknowledged: number
  readonly replica?: string
  readonly copied?: boolean
}

/** The outcome of a purge, as its event stream ended. */
export interface Followed {
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  readonly confirmed: boolean
}

/** Follows the acknowledgements of a purge until all have come, or until the wait is over. */
export async function showAcknowledgements(access: AdminAccess, id: string, waitMs: number | undefined): Promise<Followed> {
  let told: Told = { live: 0, acknowledged: 0 }
  for await (const { name, data } of followAdmin(access, `/v1/purges/${encodeURIComponent(id)}${waitMs === undefined ? '' : `?waitMs=${waitMs}`}`)) {
    if (name !== 'ack' && name !== 'done') continue
    told = data as Told
    if (name === 'ack') show(told)
  }
  // Clears the line: the result follows.
  process.stdout.write('\r\u001b[K')
  const { live, acknowledged, copied = false } = told
  return { replicas: { live, acknowledged }, confirmed: copied && live > 0 && acknowledged >= live }
}

function show({ replica = '', live, acknowledged }: Told): void {
  process.stdout.write(`\r\u001b[K${painted('good', '✓')} ${acknowledged} of ${live} replicas have applied it ${painted('quiet', printable(replica))}`)
}
