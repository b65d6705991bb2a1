// The parts of a request's key, as explain shows them: names, values, and the source of each.
import { namedCookies } from '../../policy/cookies.ts'
import { keyedFields } from '../../policy/keyed-fields.ts'
import { fieldLineValues, fieldLines } from '../../http/fields.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { KeyPart } from './explanation.ts'

/** The facets of a sender: the names, the values, and the name of the source. */
export interface ExplainedFacets {
  readonly source: string
  readonly values: Readonly<Record<string, unknown>>
}

/** Returns the parts in the order of the key. @param raw the fields of the request, as it was sent */
export function keyPartsOf({ request, route, requestField }: RoutedRequest, raw: readonly string[], facets: ExplainedFacets | undefined): KeyPart[] {
  const { scheme, authority, target } = request
  const query = target.indexOf('?')
  const line: KeyPart[] = [
    { part: 'route', value: route.id, source: 'route' },
    { part: 'scheme', value: scheme, source: 'request' },
    { part: 'host', value: authority, source: 'request' },
    { part: 'path', value: query === -1 ? target : target.slice(0, query), source: 'request' },
    ...(query === -1 ? [] : [{ part: 'query', value: target.slice(query + 1), source: 'request' }]),
  ]
  const fields = route.keyRules.headers.map(part => ({ part, value: requestField(part) ?? null, source: 'field' }))
  const lines = fieldLines(raw)
  const ofFrameworks = [...keyedFields].flatMap(part => fieldLineValues(lines, part).map(value => ({ part, value, source: 'field' })))
  return [...line, ...fields, ...cookieParts(request.cookie, route.rules.cookies), ...ofFrameworks, ...facetParts(route.identity?.facets ?? [], facets)]
}

function cookieParts(cookie: string | undefined, rule: 'private' | 'ignore' | readonly string[]): KeyPart[] {
  if (typeof rule === 'string') return []
  return rule.map(name => {
    const pair = cookie === undefined ? undefined : namedCookies(cookie, [name])
    return { part: name, value: pair === undefined ? null : pair.slice(name.length + 1), source: 'cookie' }
  })
}

function facetParts(names: readonly string[], facets: ExplainedFacets | undefined): KeyPart[] {
  if (facets === undefined) return []
  return names.map(part => ({ part, value: Object.hasOwn(facets.values, part) ? facets.values[part] : null, source: facets.source }))
}
