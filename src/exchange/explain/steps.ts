// The steps by which a request comes to its decision, and its response to being stored.
import type { ExplainedReason, ExplainedStep, ExplainedUnstored, ExplainedVariant, Explanation, Tried } from './explanation.ts'

type Told = Pick<Explanation, 'method' | 'route' | 'keyParts' | 'decision' | 'variants' | 'last' | 'tried'>

/** Returns the steps of a request. The last two concern its response: that of a try, or the stored one, or the last that was not stored. */
export function stepsOf(told: Told): ExplainedStep[] {
  const { method, route, keyParts, decision, variants } = told
  const [action, isPassed] = [decision.action, decision.action === 'pass']
  return [
    { step: 'route', outcome: 'yes', value: route },
    { step: 'key', outcome: 'yes', value: keyParts.map(({ part }) => part).join(' · ') },
    { step: 'request', outcome: isPassed ? 'no' : 'yes', value: method, ...(isPassed && because(decision)) },
    ...(isPassed ? [] : [
      { step: 'lookup', outcome: variants.length > 0 ? 'yes' : 'no', value: foundText(variants) } as const,
      { step: 'decision', outcome: action, ...because(decision) } as const,
      ...responseSteps(told),
    ]),
  ]
}

function because({ reason, section }: ExplainedReason): Pick<ExplainedStep, 'reason' | 'section'> {
  return { reason, section }
}

function foundText(variants: readonly ExplainedVariant[]): string {
  const dead = variants.filter(({ verdict }) => verdict === 'dead').length
  if (variants.length === 0) return 'nothing'
  return `${variants.length === 1 ? '1 variant' : `${variants.length} variants`}${dead === 0 ? '' : `, ${dead} purged`}`
}

function responseSteps({ tried, variants, last: [last] }: Told): ExplainedStep[] {
  if (tried !== undefined) return triedSteps(tried)
  const living = variants.find(({ verdict }) => verdict !== 'dead')
  if (living !== undefined) return [{ step: 'response', outcome: 'yes', value: String(living.status) }, { step: 'storing', outcome: 'yes' }]
  return last === undefined
    ? [{ step: 'response', outcome: 'unknown' }]
    : [{ step: 'response', outcome: 'yes', value: `${last.status}, by ${last.replica}` }, storingStep(last)]
}

function triedSteps(tried: Tried): ExplainedStep[] {
  if ('error' in tried) return [{ step: 'response', outcome: 'no', value: tried.error }]
  return [{ step: 'response', outcome: 'yes', value: `${tried.status}, by a try` }, tried.stored ? { step: 'storing', outcome: 'yes' } : storingStep(tried)]
}

function storingStep({ reason, section, of, field, value }: Pick<ExplainedUnstored, 'reason' | 'section' | 'of' | 'field' | 'value'>): ExplainedStep {
  return { step: 'storing', outcome: 'no', reason, section, ...(of !== undefined && { of }), ...(field !== undefined && { field }), ...(value !== undefined && { value }) }
}
