// Tables of cases, and the strings that properties try, shared by the tests of this room.
import * as fc from 'fast-check'
import type { Test } from 'tap'
import { anyText } from '../support/any-text.ts'

/** valid: allowed by the grammar; malformed: a plausible mistake; hostile: nothing that is sent in good faith. */
export type RowClass = 'valid' | 'malformed' | 'hostile'

export type Row<Input, Expected> = readonly [rowClass: RowClass, input: Input, expected: Expected]

/** Runs every row, and reports it by its class and input. */
export function table<Input, Expected>(t: Test, rows: readonly Row<Input, Expected>[], run: (input: Input) => unknown): void {
  for (const [rowClass, input, expected] of rows) {
    const shown = JSON.stringify(input) ?? 'absent'
    t.strictSame(run(input), expected, `${rowClass}: ${shown.length > 100 ? `${shown.slice(0, 100)}…` : shown}`)
  }
}

/** Any text, and text made of the given pieces, in which odd combinations of them are likely. */
export function textOf(...pieces: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(anyText(), fc.string({ unit: fc.constantFrom(...pieces), maxLength: 40 }))
}

/** Fails when a property does not hold, and says for which value. */
export function property<T>(t: Test, sentence: string, values: fc.Arbitrary<T>, holds: (value: T) => boolean): void {
  fc.assert(fc.property(values, holds), { numRuns: 500 })
  t.pass(sentence)
}
