// The result of a run of the suite: its score, and each difference from the expected results, in either direction.

export const kinds = ['required', 'optimal', 'check'] as const
export type Kind = (typeof kinds)[number]

/** Every test of a suite, with its kind. */
export type Tests = ReadonlyMap<string, Kind>

/** The result of each test, as the suite's client reports it: true, or the failure. */
export type Results = Readonly<Record<string, true | readonly [name: string, message: string]>>

export type Score = Readonly<Record<Kind, { readonly passed: number; readonly of: number }>>

/** The tests that are not expected to pass, and why. */
export type Reasons = Readonly<Record<string, string>>

/** As a file holds it: reasons that hold everywhere, with some settings, or with some store. */
export interface Expected {
  readonly everywhere: Reasons
  readonly settings: Readonly<Record<string, Reasons>>
  readonly stores: Readonly<Record<string, Reasons>>
}

/** The reasons that hold for one run. */
export function reasonsFor(expected: Expected, settings: string, store: string): Reasons {
  return { ...expected.everywhere, ...expected.settings[settings], ...expected.stores[store] }
}

export function score(tests: Tests, results: Results): Score {
  const of = (kind: Kind): Score[Kind] => {
    const ids = [...tests].filter(([, its]) => its === kind).map(([id]) => id)
    return { passed: ids.filter(id => results[id] === true).length, of: ids.length }
  }
  return { required: of('required'), optimal: of('optimal'), check: of('check') }
}

/** Returns a line for each test that does not pass: kind, test, and the report of the client. */
export function failures(tests: Tests, results: Results): string[] {
  return kinds.flatMap(kind =>
    [...tests]
      .filter(([id, its]) => its === kind && results[id] !== true)
      .map(([id]) => `${kind} ${id}: ${said(results[id])}`)
  )
}

/** Returns a line for each way in which a run is not as expected. */
export function surprises(tests: Tests, results: Results, reasons: Reasons): string[] {
  const missed = [...tests]
    .filter(([id, kind]) => kind !== 'check' && results[id] !== true && !(id in reasons)) // a check shows what a cache does; it has no right result to miss
    .map(([id, kind]) => `${id} (${kind}) does not pass, and is not expected to fail: ${said(results[id])}`)
  const wrong = Object.entries(reasons).flatMap(([id, reason]) => {
    if (!tests.has(id)) return `${id} is expected to fail, and the suite does not have it`
    if (tests.get(id) === 'check') return `${id} is expected to fail, and is a check, which has no right result to miss`
    if (results[id] === true) return `${id} is expected to fail, and passes`
    return reason.trim() === '' ? `${id} is expected to fail, and no reason is given` : []
  })
  return [...missed, ...wrong]
}

function said(result: Results[string] | undefined): string {
  return result === undefined ? 'it was not run' : result === true ? 'passes' : result.join(': ')
}
