// The cookies that a route names in its key: what an origin is sent of Cookie, and what the key holds of it, are one string.
import { withoutOuterSpace } from '../http/white-space.ts'

/** Whether a Cookie field holds anything beside pairs with these names. */
export function hasOtherCookies(field: string, names: readonly string[]): boolean {
  return field.split(';').some(pair => withoutOuterSpace(pair) !== '' && !names.includes(withoutOuterSpace(pair, 0, Math.max(0, pair.indexOf('=')))))
}

/**
 * The pairs of a Cookie field that carry one of these names, in the order of `names` and, for one name, in their own: an origin may go by
 * the first or by the last. `undefined` if there is none.
 *
 * A pair is what stands between semicolons, its name what stands before the first `=`, without the spaces and tabs around it (RFC 6265
 * §4.2.1, §5.2). Nothing else is taken for a named cookie, whatever an application would make of it: not `lang` without a value, nor
 * `lang[x]` or `lang.x`, nor what a comma, a quote or a space parts from the pair before. A value keeps its bytes, and is keyed with them.
 */
export function namedCookies(field: string, names: readonly string[]): string | undefined {
  const found: string[][] = names.map(() => [])
  for (const pair of field.split(';')) {
    const at = pair.indexOf('=')
    if (at === -1) continue
    const name = withoutOuterSpace(pair, 0, at)
    found[names.indexOf(name)]?.push(`${name}=${withoutOuterSpace(pair, at + 1)}`)
  }
  const kept = found.flat().join('; ')
  return kept === '' ? undefined : kept
}
