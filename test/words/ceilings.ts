// How many findings each folder may have, and the wordings that are right where they stand.
import type { Allowed } from './findings.ts'

/** Folders that are not named have none. A number only ever falls: lower it in the commit that rewrites the folder. */
export const ceilings: Readonly<Record<string, number>> = {
  'README.md': 29,
  config: 5,
  docs: 326,
  src: 11,
  'src/admin': 107,
  'src/cli': 121,
  'src/config': 117,
  'src/exchange': 312,
  'src/origin': 297,
  'src/proxy': 139,
  test: 6,
  'test/admin': 51,
  'test/cli': 67,
  'test/config': 15,
  'test/conformance': 33,
  'test/e2e': 290,
  'test/engines': 2,
  'test/exchange': 63,
  'test/hostile': 175,
  'test/origin': 53,
  'test/proxy': 50,
  'test/soak': 50,
  'test/support': 126,
}

/** Each entry names why its wording is right. An entry that accepts nothing is an error. */
export const allowed: readonly Allowed[] = [
]
