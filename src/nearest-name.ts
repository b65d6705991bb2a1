// The known name that a mistyped one probably stands for.
import { closest, distance } from 'fastest-levenshtein'

/** Longer names are compared by their beginning: a client decides their length. */
const mostChars = 100

/** Returns the known name that is near a mistyped name, whatever its case; undefined if none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const compared = name.slice(0, mostChars).toLowerCase()
  const near = closest(compared, known.map((each) => each.toLowerCase()))
  return distance(compared, near) <= Math.max(2, name.length / 3) ? known.find((each) => each.toLowerCase() === near) : undefined
}
