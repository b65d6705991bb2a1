// The cookies that a route's key names: the forwarded Cookie field and the key hold the same string.
import { withoutOuterSpace } from '../http/white-space.ts'

/** Returns whether a Cookie field holds anything beside pairs with these names. */
export function hasOtherCookies(field: string, names: readonly string[]): boolean {
  return field.split(';').some(pair => withoutOuterSpace(pair) !== '' && !names.includes(withoutOuterSpace(pair, 0, Math.max(0, pair.indexOf('=')))))
}

/**
 * Returns the pairs of a Cookie field with these names, in the order of `names`. Pairs of one name keep their order, because
 * an origin may use the first or the last. `undefined` if there is none.
 *
 * A pair is the text between semicolons. Its name is the text before the first `=`, without surrounding spaces and tabs (RFC
 * 6265 §4.2.1, §5.2). Nothing else counts as a named cookie, however an application would read it: not `lang` without a
 * value, not `lang[x]` or `lang.x`, and no text after a comma, a quote or a space. A value keeps its bytes, and is keyed
 * with them.
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
