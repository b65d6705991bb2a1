// The facts about a decision and about a response that was not stored, which explain fills into the texts.
import { currentAgeMs } from '../../policy/freshness.ts'
import { explainReason } from '../../policy/explain-reason.ts'
import { readableDuration, type Facts } from '../../policy/reason-text.ts'
import type { Reason } from '../../policy/reasons.ts'
import type { Metadata } from '../../policy/stored.ts'
import { purgeMatches } from '../../store/purge/match.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Stored } from '../../store/store.ts'
import type { Unstored } from '../../store/unstored.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { ExplainedReason, ExplainedUnstored, ShownField } from './explanation.ts'

/** The most purges that are searched for the one that made a response stale. */
const mostPurges = 1_000
const mostNames = 8

/** Returns a reason with its texts. */
export function explainedReason(reason: Reason, facts: Facts): ExplainedReason {
  return { reason, ...explainReason(reason, facts) }
}

/** Returns what is known about a decision. @param meta the stored response that it concerns */
export function factsOf({ request, route }: RoutedRequest, meta: Metadata | undefined, variants: readonly Stored[], log: PurgeLog, nowMs: number): Facts {
  const { maxAge, minFresh } = request.directives
  const limit = maxAge ?? minFresh
  return {
    method: request.method,
    route: route.id,
    ...(limit !== undefined && { limit: String(limit) }),
    ...(variants.length > 0 && { variants: String(variants.length), ...varyOf(variants) }),
    ...(meta !== undefined && { ...timesOf(meta, nowMs), ...softPurgeOf(meta, log) }),
  }
}

function timesOf(meta: Metadata, nowMs: number): Facts {
  const ageMs = currentAgeMs(meta, nowMs)
  const leftMs = meta.lifetimeMs - ageMs
  return {
    age: readableDuration(ageMs),
    lifetime: readableDuration(meta.lifetimeMs),
    ...(leftMs > 0 ? { ttl: readableDuration(leftMs) } : { stale: readableDuration(-leftMs) }),
  }
}

function varyOf(variants: readonly Stored[]): Facts {
  const names = [...new Set(variants.flatMap(({ meta }) => meta.vary.map(([name]) => name)))]
  return names.length === 0 ? {} : { vary: names.slice(0, mostNames).join(', ') }
}

function softPurgeOf(meta: Metadata, log: PurgeLog): Facts {
  const found = log.judge(meta) === 'stale' ? log.recent(mostPurges).find(({ id, purge }) => purge.soft && id > meta.stamp && purgeMatches(purge, meta)) : undefined
  return found === undefined ? {} : { purge: found.id }
}

/** Returns the facts about a response that is not stored. */
export function unstoredFacts(status: number, { field, value }: ShownField): Facts {
  return { status: String(status), ...(field !== undefined && { field }), ...(value !== undefined && { value }) }
}

/** Explains a response that was not stored. */
export function explainedUnstored({ atMs, replica, status, reason, deciding }: Unstored): ExplainedUnstored {
  return { atMs, replica, status, ...deciding, ...explainedReason(reason, unstoredFacts(status, deciding ?? {})) }
}
