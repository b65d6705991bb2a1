// The sender of a request, as its origin receives it: a signed field, and plain fields for origins that verify nothing.
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import type { FieldLines } from '../http/fields.ts'
import type { FacetText } from '../policy/facets.ts'
import type { IdentityRules, Sharing } from '../policy/identity.ts'
import type { SessionField } from './field.ts'

/** The sender of a request, by whichever source. */
export interface Sender {
  /** The name of the source. */
  readonly source: string
  /** A member of its data as JSON text; `user` is its user. */
  value(name: string): FacetText
  /** The signed field that holds everything. @param audience the name of the origin */
  field(field: SessionField, audience: string): string
}

export interface SenderParts {
  readonly field: SessionField
  /** Plain fields: the name of each, and the member that it carries. */
  readonly headers: readonly (readonly [name: string, member: string])[]
}

/** True for a request whose response may be shared, if its route has facets. */
export function isRead({ routed: { request } }: RoutedExchange): boolean {
  return (request.method === 'GET' || request.method === 'HEAD') && !request.hasUpgrade
}

/** True if the origin receives nothing of the sender but facets. */
export function isBlind(exchange: RoutedExchange, { facets, forward }: Pick<IdentityRules, 'facets' | 'forward'>): boolean {
  return facets.length > 0 && forward === 'facets' && isRead(exchange)
}

/** Returns the lines that the origin receives. @throws SpringhouseError SESSION_UNAVAILABLE */
export function senderLines({ field, headers }: SenderParts, exchange: RoutedExchange, rules: IdentityRules, { facets }: Sharing, sender: Sender): FieldLines {
  const { origin } = exchange.routed.route
  const blind = isBlind(exchange, rules)
  const signed = blind ? field.ofFacets(facets ?? unfitFacets(rules, sender), sender.source, origin) : sender.field(field, origin)
  const lines = ['springhouse-session', signed]
  for (const [name, member] of headers) {
    const value = blind && !rules.facets.includes(member) ? undefined : plainText(sender.value(member))
    if (value !== undefined) lines.push(name, value)
  }
  return lines
}

/** The facets as they are, for a response that is not shared because they fit no key. */
function unfitFacets({ facets }: IdentityRules, sender: Sender): string {
  const members = facets.flatMap(name => {
    const text = sender.value(name)
    return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]
  })
  return `{${members.join(',')}}`
}

/** A value as a plain field: a string without its quotes, anything else as JSON, percent-encoded. */
function plainText(text: FacetText): string | undefined {
  return text === undefined ? undefined : encodeURIComponent(text.startsWith('"') ? (JSON.parse(text) as string) : text)
}
