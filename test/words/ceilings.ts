// How many findings each folder may have, and the wordings that are right where they stand.
import type { Allowed } from './findings.ts'

/** Folders that are not named have none. A number only ever falls: lower it in the commit that rewrites the folder. */
export const ceilings: Readonly<Record<string, number>> = {}

/** Each entry names why its wording is right. An entry that accepts nothing is an error. */
export const allowed: readonly Allowed[] = [
  { text: 'English words', file: 'src/log/masking.ts', reason: 'the words of a language, which a token must not be taken for' },
  { text: 'look like words', file: 'src/log/masking.ts', reason: 'the words of a language' },
  { text: 'looks like words', file: 'docs/security.md', reason: 'the words of a language' },
  { text: 'numbers and words are shown', file: 'docs/security.md', reason: 'the words of a language' },
  { text: '25 words a sentence', file: 'CONTRIBUTING.md', reason: 'the words of a sentence' },
  { text: 'leave one of them out', reason: 'the settings of the operator, not programs' },
  { text: 'one of', file: 'src/config/node.ts', reason: 'a choice of values: "expected one of off, errors"' },
  { text: 'of at least one', file: 'src/config/node.ts', reason: 'goes on with "a list"; it opens no sentence' },
]
