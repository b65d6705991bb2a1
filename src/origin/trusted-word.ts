// What a trusted proxy says of a request that may show in its answer, and so belongs to the key: it reaches the origin as it came.
import type { FieldLines } from '../http/fields.ts'
import { isAddressList, readForwarded } from './forwarded.ts'
import { isSteering, tellsAddress } from './steering.ts'

/** The request as it is without that proxy's word. */
interface Plain {
  readonly scheme: 'http' | 'https'
  /** As keyed: the scheme's own port left out. */
  readonly authority: string
}

/**
 * The steering fields among a trusted client's lines (names in any case), in their order, those that say what an origin is told
 * anyhow left out: a load balancer that adds X-Forwarded-Proto and -Port makes no keys of its own by that. Addresses of clients
 * are no part of it, neither in X-Forwarded-For nor in Forwarded; what stands in their place and is none, is.
 */
export function trustedWord(raw: readonly string[], plain: Plain): FieldLines {
  const said: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    const value = raw[i + 1] as string
    if (tellsAddress(name) ? isAddressList(value) : name !== 'forwarded' && !isSteering(name)) continue
    const read = name === 'forwarded' ? readForwarded(value) : undefined
    // A field that is not understood counts as it is: an application may read a host in it.
    if (read !== undefined) {
      if (read.some(({ rest }) => rest !== '')) said.push('forwarded by', read.map(({ bare }) => bare).join())
    } else if (!isKnown(name, value, plain)) said.push(name, value)
  }
  return said
}

function isKnown(name: string, value: string, { scheme, authority }: Plain): boolean {
  switch (name) {
    case 'x-forwarded-proto':
      return value === scheme
    case 'x-forwarded-host':
      return value === authority
    case 'x-forwarded-port':
      return value === (/:(\d+)$/.exec(authority)?.[1] ?? (scheme === 'https' ? '443' : '80'))
    case 'forwarded':
      return value === ''
    default:
      return false
  }
}
