// What a trusted proxy says of a request that may show in its answer, and so belongs to the key: it reaches the origin as it came.
import type { FieldLines } from '../http/fields.ts'
import { isSteering, tellsAddress } from './steering.ts'

/** The request as it is without that proxy's word. */
interface Plain {
  readonly scheme: 'http' | 'https'
  /** As keyed: the scheme's own port left out. */
  readonly authority: string
}

/**
 * The steering fields among a trusted client's lines (names in any case), in their order, those that say what an origin is told
 * anyhow left out: a load balancer that adds X-Forwarded-Proto and -Port makes no keys of its own by that. Who asks is no part
 * of it, neither as X-Forwarded-For nor in Forwarded.
 */
export function trustedWord(raw: readonly string[], plain: Plain): FieldLines {
  const said: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    if (tellsAddress(name) || (name !== 'forwarded' && !isSteering(name))) continue
    const value = name === 'forwarded' ? withoutNodes(raw[i + 1] as string) : raw[i + 1] as string
    if (!isKnown(name, value, plain)) said.push(name, value)
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

// RFC 7239 §4: `for` and `by` name the two ends of a hop. A value is taken as a whole, for quotes may hide a semicolon.
const pairs = /([^=;,"\s]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)|[^]/g

function withoutNodes(forwarded: string): string {
  return forwarded.replaceAll(pairs, (text, name?: string) => (name !== undefined && /^(?:for|by)$/i.test(name) ? '' : text)).replaceAll(/^[\s;,]+$/g, '')
}
