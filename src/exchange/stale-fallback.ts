// A stale response that may be served in place of the origin's, because the origin failed or is slow (RFC 5861 §4).
import type { Clock } from '../clock.ts'
import { mayServeStaleOnError, type OriginFailure } from '../policy/decide.ts'
import { currentAgeMs, purgedAgeMs } from '../policy/freshness.ts'
import type { StaleReason } from '../policy/reasons.ts'
import type { CacheRequest } from '../policy/request.ts'
import type { PurgeLog } from '../store/purge/log.ts'
import type { Stored } from '../store/store.ts'
import { verdictNow } from './lookup.ts'

/** A stale response, and why and when it is served. */
export interface StaleFallback {
  readonly stored: Stored
  readonly occasion: { readonly reason: StaleReason; readonly ageMs: number; readonly nowMs: number }
}

/** @returns undefined if the stored response must not be served stale now */
export function staleFallback({ purgeLog, clock }: { readonly purgeLog: PurgeLog; readonly clock: Clock }, request: CacheRequest, stored: Stored | undefined,
  failure: OriginFailure): StaleFallback | undefined {
  if (stored === undefined || stored.localOnly === true) return undefined
  const verdict = verdictNow(purgeLog, stored.meta)
  if (verdict === 'dead') return undefined
  const nowMs = clock.now()
  const reason = mayServeStaleOnError(request, stored.meta, verdict, failure, nowMs)
  return reason && { stored, occasion: { reason, ageMs: verdict === 'stale' ? purgedAgeMs(stored.meta, nowMs) : currentAgeMs(stored.meta, nowMs), nowMs } }
}
