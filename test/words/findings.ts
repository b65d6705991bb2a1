// Wordings that readers must translate: openings that put a sentence upside down, and terms that differ from those of RFC 9110.
import type { Prose } from './prose.ts'

export type FindingKind = 'opening' | 'word' | 'who'

export interface Finding {
  readonly file: string
  readonly line: number
  readonly kind: FindingKind
  /** The text that was found. */
  readonly found: string
  /** The line around them. */
  readonly excerpt: string
}

/** A text in which findings are accepted. Spaces match line breaks too. */
export interface Allowed {
  readonly text: string
  /** Only in this file; in all files if left out. */
  readonly file?: string
  readonly reason: string
}

const opening = /^(?:of|what|who|whoever|whom|whether|those|one)\b(?!-)/i
// Names of tests, messages and pages may begin with a number: "one request ...". In comments the shape is "One that ...".
const openingOfName = /^(?:of|what|who|whoever|whom|whether|those|one (?:that|who|which|of|whose))\b/i
// A sentence starts the text, an item of a list, a paragraph, or what is said of a parameter; or it follows another.
const starts = /(?:^|\n\s*\n|\n[ \t]*[-*+][ \t]|@(?:param\s+\S+|returns|throws))[\s*+>-]*/g
const laterSentence = /[.!?]["')*]*\s+[*"'(]*(?=[A-Z])/g

// Rule 2: RFC 9110 has other terms for these. `look up`, `look in` and `cut off` are in use.
const words = new RegExp([
  /\b(?:un)?answer(?:s|ed|ing|able)?\b/,
  /\bask(?:s|ed|ing)?\b/,
  /\b(?:tell|tells|telling|told)\b/,
  /\b(?:un)?hear(?:s|d|ing)?\b/,
  /\bwords?\b/,
  /\bunder\s*way\b/,
  /\bcut(?:s|ting)?\b(?!\s+off)/,
  /(?<!410\s)\bgone\b/,
  /\bpatien(?:ce|t|tly)\b/,
  /\blook(?:s|ed|ing)?\b(?![\s-]*up\b|\s+(?:\w+\s+up|in|into|like)\b)/,
].map(({ source }) => source).join('|'), 'gi')
// Rule 1: only persons are called `who`.
const persons = /(?<!\b(?:operators?|people|persons?|users?|readers?|attackers?|contributors?|authors?|developers?),?\s+)\b(?:who|whoever|whom)\b|\bone\s+of\s+them\b/gi

/** Returns what is found in a text; `allowed` leaves out what it accepts, and `used` receives the entries that did so. */
export function findingsIn(prose: Prose, allowed: readonly Allowed[] = [], used = new Set<Allowed>()): Finding[] {
  const { text, file, kind } = prose
  const at = new Map<number, [FindingKind, string]>()
  for (const { index, 0: found } of text.matchAll(words)) at.set(index, ['word', found])
  for (const { index, 0: found } of text.matchAll(persons)) at.set(index, ['who', found])
  for (const [index, later] of sentenceStarts(prose)) {
    const [found] = (kind === 'comment' ? opening : openingOfName).exec(text.slice(index)) ?? []
    if (found !== undefined && (!later || /^[A-Z]/.test(found))) at.set(index, ['opening', found])
  }
  const accepted = allowed.filter(entry => entry.file === undefined || entry.file === file).flatMap(entry => rangesOf(entry, text))
  return [...at].toSorted(([a], [b]) => a - b).flatMap(([index, [of, found]]) => {
    const covering = accepted.filter(({ from, to }) => from <= index && index + found.length <= to)
    for (const { entry } of covering) used.add(entry)
    if (covering.length > 0) return []
    const line = text.slice(0, index).split('\n').length - 1
    return [{ file, line: prose.line + line, kind: of, found: found.replaceAll(/\s+/g, ' '), excerpt: (text.split('\n')[line] as string).trim() }]
  })
}

/** Returns the offsets at which sentences start, each with whether it follows another sentence. */
function sentenceStarts({ text, kind }: Prose): Array<[number, boolean]> {
  // Headings and cells of tables are no sentences.
  if (kind === 'page' && /^\s*[#|]/.test(text)) return []
  const ends = (expression: RegExp): number[] => [...text.matchAll(expression)].map(({ index, 0: found }) => index + found.length)
  return [...ends(starts).map((end): [number, boolean] => [end, false]), ...ends(laterSentence).map((end): [number, boolean] => [end, true])]
}

function rangesOf(entry: Allowed, text: string): Array<{ entry: Allowed; from: number; to: number }> {
  const expression = new RegExp(entry.text.split(' ').map(part => part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)).join(String.raw`\s+`), 'g')
  return [...text.matchAll(expression)].map(({ index, 0: found }) => ({ entry, from: index, to: index + found.length }))
}
