// The score in the README: written by the command between two markers, and compared with the run.
import type { Score } from './judge.ts'

/** A row: the settings and store of a run, and its scores. */
export interface Row {
  readonly settings: string
  readonly store: string
  readonly score: Score
}

/** The two lines between which a table stands. */
interface Place {
  readonly begin: string
  readonly end: string
}

/** The tables of the README. CI runs the packaged suite alone, so it compares the first table alone. */
export const places = {
  packaged: {
    begin: '<!-- Scores: written by `npm run conformance -- --write`. CI fails when they are not what was run. -->',
    end: '<!-- End of the scores. -->',
  },
  checkout: {
    begin: '<!-- Scores of a newer revision: written by `npm run conformance -- --suite DIR --write`. -->',
    end: '<!-- End of the scores of a newer revision. -->',
  },
} as const satisfies Readonly<Record<string, Place>>

// Checks are not scored: they show what a cache does, some at the very end of a response's freshness.
const scored = ['required', 'optimal'] as const

/** Returns the text between the markers. */
export function scoreTable(revision: string, rows: readonly Row[]): string {
  const lines = [
    ['settings', 'store', ...scored],
    ['---', '---', ...scored.map(() => '---:')],
    ...rows.map(row => [row.settings, row.store, ...scored.map(kind => `${row.score[kind].passed} of ${row.score[kind].of}`)]),
  ]
  return `${revision}:\n\n${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}`
}

/** The README with another table at this place. @throws when its two lines are not there, once each and in order. */
export function withScores(readme: string, table: string, place: Place = places.packaged): string {
  const [from, to] = boundsOf(readme, place)
  return `${readme.slice(0, from)}\n\n${table}\n\n${readme.slice(to)}`
}

/** True if the README has this table at this place. */
export function hasScores(readme: string, table: string, place: Place = places.packaged): boolean {
  return withScores(readme, table, place) === readme
}

function boundsOf(readme: string, { begin, end }: Place): [from: number, to: number] {
  const from = readme.indexOf(begin)
  const to = readme.indexOf(end)
  const once = from === readme.lastIndexOf(begin) && to === readme.lastIndexOf(end)
  if (from === -1 || to < from || !once) throw new Error(`README.md needs these two lines, once and in this order:\n${begin}\n${end}`)
  return [from + begin.length, to]
}
