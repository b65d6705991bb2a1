// The counters of sessions and tokens: integers that metrics read at a scrape.
import { keyFaults } from './jwt/key-place.ts'
import { tokenFaults } from './jwt/provider.ts'

/** The outcomes of identifying a request by a session. */
export const readOutcomes = ['none', 'live', 'superseded', 'unknown', 'malformed', 'duplicate', 'ambiguous', 'reused', 'unavailable'] as const
export type ReadOutcome = typeof readOutcomes[number]

export const writeOperations = ['begin', 'change', 'login', 'logout', 'rotate'] as const
export type WriteOperation = typeof writeOperations[number]

/** The outcomes of changing a session. */
export const writeOutcomes = ['written', 'conflict', 'ended', 'limit', 'invalid', 'unavailable', 'not-written', 'unconfirmed', 'error'] as const
export type WriteOutcome = typeof writeOutcomes[number]

const outcomeOfCode: Readonly<Record<string, WriteOutcome>> = {
  SESSION_CONFLICT: 'conflict',
  SESSION_GONE: 'ended',
  SESSION_LIMIT: 'limit',
  SESSION_INSTRUCTION_INVALID: 'invalid',
  SESSION_UNAVAILABLE: 'unavailable',
  SESSION_NOT_WRITTEN: 'not-written',
  SESSION_UNCONFIRMED: 'unconfirmed',
}

/** The outcomes of verifying a bearer token. `known`: it was verified before. */
export const verificationOutcomes = ['verified', 'known', ...tokenFaults] as const
/** The outcomes of reading a provider's keys. */
export const keyReadOutcomes = ['fetched', ...keyFaults] as const

export interface SessionCounts {
  readonly reads: Readonly<Record<ReadOutcome, number>>
  readonly writes: Readonly<Record<WriteOperation, Readonly<Record<WriteOutcome, number>>>>
  readonly csrfRefused: number
  readonly streamsCut: number
}

/** Counts. Each process has one. */
export class SessionCounters implements SessionCounts {
  readonly reads = zeros(readOutcomes)
  readonly writes = Object.fromEntries(writeOperations.map(operation => [operation, zeros(writeOutcomes)])) as Record<WriteOperation, Record<WriteOutcome, number>>
  csrfRefused = 0
  streamsCut = 0

  read(outcome: ReadOutcome): void {
    this.reads[outcome]++
  }

  streamCut(): void {
    this.streamsCut++
  }

  /** Counts a change by its result, which it returns or throws. */
  async write<T>(operation: WriteOperation, change: Promise<T>): Promise<T> {
    try {
      const result = await change
      this.writes[operation].written++
      return result
    } catch (error) {
      this.writes[operation][outcomeOfCode[(error as { code?: string }).code ?? ''] ?? 'error']++
      throw error
    }
  }
}

export interface TokenCounts {
  readonly verifications: Readonly<Record<typeof verificationOutcomes[number], number>>
  readonly keyReads: Readonly<Record<typeof keyReadOutcomes[number], number>>
  readonly streamsCut: number
}

/** Counts bearer tokens and key sets. Each process has one. */
export class TokenCounters implements TokenCounts {
  readonly verifications = zeros(verificationOutcomes)
  readonly keyReads = zeros(keyReadOutcomes)
  streamsCut = 0

  /** Counts a verification, and returns its outcome. */
  verified<Outcome extends typeof verificationOutcomes[number]>(outcome: Outcome): Outcome {
    this.verifications[outcome]++
    return outcome
  }

  fetched(outcome: typeof keyReadOutcomes[number]): void {
    this.keyReads[outcome]++
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map(name => [name, 0])) as Record<Name, number>
}
