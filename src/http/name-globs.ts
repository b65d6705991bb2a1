// Names of query parameters, of which a configuration gives some exactly and others as globs.

/** Whether a name is among those given. */
export type NameTest = (name: string) => boolean

/**
 * Compiles names in which each `*` stands for any characters, also for none: `utm_*`, `*_ref`, `utm*source`, `*click*`, `*`. No
 * other character is special. Names are compared as they are written, case and percent-encoding included. A test takes time in
 * proportion to the length of the name: each piece of a glob is looked for once, behind the one before.
 */
export function compileNames(patterns: readonly string[]): NameTest {
  const exact = new Set(patterns.filter(pattern => !pattern.includes('*')))
  const globs = patterns.filter(pattern => pattern.includes('*')).map(pattern => pattern.split('*'))
  if (globs.length === 0) return name => exact.has(name)
  return name => exact.has(name) || globs.some(pieces => matches(name, pieces))
}

/** @param pieces what stands between the stars; the first begins the name, the last ends it */
function matches(name: string, pieces: readonly string[]): boolean {
  const first = pieces[0] as string
  const last = pieces.at(-1) as string
  const end = name.length - last.length
  let at = first.length
  if (end < at || !name.startsWith(first) || !name.endsWith(last)) return false
  for (let i = 1; i < pieces.length - 1; i++) {
    const piece = pieces[i] as string
    // The first place is as good as any later one: it leaves the most for the pieces behind it.
    const found = name.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
