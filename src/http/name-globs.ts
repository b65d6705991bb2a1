// Names of query parameters, configured exactly or as globs.

/** True if the configuration names this parameter. */
export type NameTest = (name: string) => boolean

/**
 * Compiles names in which each `*` stands for any characters, or none: `utm_*`, `*_ref`, `utm*source`, `*click*`, `*`. No
 * other character is special. Names are compared as they are written, including case and percent-encoding. A test takes time
 * in proportion to the name: each piece of a glob is searched once, behind the previous piece.
 */
export function compileNames(patterns: readonly string[]): NameTest {
  const exact = new Set(patterns.filter(pattern => !pattern.includes('*')))
  const globs = patterns.filter(pattern => pattern.includes('*')).map(pattern => pattern.split('*'))
  if (globs.length === 0) return name => exact.has(name)
  return name => exact.has(name) || globs.some(pieces => matches(name, pieces))
}

/** @param pieces the texts between the stars; the first begins the name, the last ends it */
function matches(name: string, pieces: readonly string[]): boolean {
  const first = pieces[0] as string
  const last = pieces.at(-1) as string
  const end = name.length - last.length
  let at = first.length
  if (end < at || !name.startsWith(first) || !name.endsWith(last)) return false
  for (let i = 1; i < pieces.length - 1; i++) {
    const piece = pieces[i] as string
    // The first match is as good as any later one: it leaves the most text for the pieces behind it.
    const found = name.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
