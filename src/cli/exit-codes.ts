// The exit codes of all commands, for scripts. docs/pipelines.md has the table.

/** The command has failed, or a threshold is crossed; also each error of the admin API that no other code names. */
export const FAILED = 1
export const USAGE = 2
/** Recorded, and not confirmed by every replica (202). */
export const UNCONFIRMED = 3
/** Nothing was purged. */
export const NOT_WRITTEN = 4
/** The token is not valid, lacks a scope, or was sent too often. */
export const REFUSED = 5
/** The admin listener cannot be reached, or did not respond. */
export const UNREACHABLE = 6
/** It is not known whether the change was recorded: run the command again. */
export const UNKNOWN = 7
/** Ctrl-C: 128 and the number of the signal. */
export const INTERRUPTED = 130

/** Returns the code for an error response of the admin API. @param code the `code` of its problem document */
export function exitCodeOf(status: number, code: unknown): number {
  if (status === 401 || status === 403 || status === 429) return REFUSED
  if (status === 503 && code === 'PURGE_NOT_WRITTEN') return NOT_WRITTEN
  if (status === 503 && (code === 'PURGE_UNCONFIRMED' || code === 'SESSION_UNCONFIRMED')) return UNKNOWN
  return FAILED
}
