// A dry try: one GET at a route's own origin, whose response is judged by its head. Nothing of it is stored.
import type { Clock } from '../../clock.ts'
import { announcedLength, withoutFields, type FieldLines } from '../../http/fields.ts'
import { isEventStream } from '../../http/media-type.ts'
import { unconditionalFields } from '../../forwarding/request-fields.ts'
import { SpringhouseError } from '../../errors.ts'
import type { OriginExchange, Origins } from '../../origin/origin.ts'
import { decidingField } from '../../policy/deciding-field.ts'
import type { PassReason } from '../../policy/reasons.ts'
import { assessResponse, type ReceivedHead, type Storability } from '../../policy/storable.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { Tried } from './explanation.ts'
import { explainedReason, unstoredFacts } from './facts.ts'

// The try has no content.
const ofContent: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])

const defaultTimeoutMs = 5_000

export interface TryParts {
  readonly origins: Origins
  readonly clock: Clock
  /** How long the head of the response may take. */
  readonly timeoutMs?: number
}

type Outcome = { readonly head: ReceivedHead } | { readonly error: SpringhouseError }

/**
 * Sends the request to the origin of its route, and judges the response as a fill would.
 * @param passed why the request bypasses the cache; then its response is not stored, whatever it says
 */
export async function tryAtOrigin(parts: TryParts, asked: RoutedRequest, passed: PassReason | undefined): Promise<Tried> {
  const startedMs = parts.clock.monotonic()
  const outcome = await headOf(parts, asked, passed !== undefined)
  const ms = Math.round(parts.clock.monotonic() - startedMs)
  if ('error' in outcome) return { error: outcome.error.code, meaning: outcome.error.message, ms }
  const { head } = outcome
  const { status } = head
  if (passed !== undefined) return { status, ms, stored: false, ...explainedReason(passed, { route: asked.route.id, method: asked.request.method }) }
  const verdict = judged(asked, head)
  if (verdict.store) return { status, ms, stored: true, lifetimeMs: verdict.meta.lifetimeMs, tags: verdict.meta.tags, vary: verdict.meta.vary }
  const deciding = decidingField(verdict.reason, asked.requestField, head.fields, asked.route.rules.tags.fields.map(({ name }) => name))
  return { status, ms, stored: false, ...deciding, ...explainedReason(verdict.reason, unstoredFacts(status, deciding ?? {})) }
}

function judged(asked: RoutedRequest, head: ReceivedHead): Storability {
  const { request, requestField, route: { rules } } = asked
  const verdict = assessResponse(request, requestField, head, rules)
  if (!verdict.store) return verdict
  if (announcedLength(head.fields) > rules.maxEntryBytes) return { store: false, reason: 'too-large' }
  return isEventStream(head.fields) ? { store: false, reason: 'incomplete' } : verdict
}

function headOf({ origins, clock, timeoutMs = defaultTimeoutMs }: TryParts, asked: RoutedRequest, whole: boolean): Promise<Outcome> {
  const { request, route, forwarded } = asked
  return new Promise(resolve => {
    const requestTimeMs = clock.now()
    let sent: OriginExchange | undefined
    let over = false
    const end = (outcome: Outcome): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      resolve(outcome)
      // After the call of the sink has returned: it may run before `request` has.
      queueMicrotask(() => sent?.abort())
    }
    const timer = setTimeout(() => end({ error: new SpringhouseError('ORIGIN_TIMEOUT') }), timeoutMs)
    const onHead = (status: number, fields: FieldLines): void => end({ head: { status, fields, requestTimeMs, responseTimeMs: clock.now(), stamp: '' } })
    try {
      sent = origins.request({ origin: route.origin, method: 'GET', target: request.target,
        fields: withoutFields(whole ? asked.allFields() : unconditionalFields(forwarded), ofContent) }, {
        onHead,
        onData: () => undefined,
        onEnd: () => undefined,
        onError: error => end({ error }),
      })
    } catch (cause) {
      end({ error: cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause }) })
    }
  })
}
