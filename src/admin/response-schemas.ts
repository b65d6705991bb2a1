// The schemas that several responses share. Responses are serialised as they are: a schema describes, and removes nothing.
import { requestOutcomes } from '../exchange/client/outcome.ts'
import { Type, type TProperties, type TSchema } from '../json-schema.ts'

/** An object that has these members, and may have more in a later version. */
export function members<Properties extends TProperties>(properties: Properties, description?: string) {
  return Type.Object(properties, description === undefined ? {} : { description })
}

export const count = Type.Integer({ minimum: 0 })
/** An integer, or null. */
export const countOrNull = Type.Union([count, Type.Null()])
export const ratio = Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()], { description: 'From 0 to 1; null if nothing was counted.' })
export const millis = (description: string) =>
  Type.Union([Type.Number({ minimum: 0 }), Type.Null()], { description: `${description}, in milliseconds; null if nothing was counted.` })
export const counts = (description: string) => Type.Record(Type.String(), count, { description })

/** A member for each outcome. */
export function byOutcome<Schema extends TSchema>(schema: Schema, description: string) {
  return Type.Object(Object.fromEntries(requestOutcomes.map(outcome => [outcome, schema])), { description })
}

export const scopes = ['replica', 'fleet'] as const
export type Scope = typeof scopes[number]
export const scopeOf = Type.Enum([...scopes], { description: 'replica: this process, and the others if it has several workers. fleet: every replica.' })

/** The parameter `scope`. */
export const scopeParameter = Type.Optional(
  Type.Enum([...scopes], { description: 'replica: this process and its workers. fleet: every replica; without Redis the response is that of the replica, and says so.' }),
)

export const latencySchema = members({
  count,
  p50: millis('The median'),
  p90: millis('The 90th percentile'),
  p99: millis('The 99th percentile'),
  max: millis('The longest'),
}, 'From the head of a request to the end of its response. A percentile is the upper bound of its bucket: at most a quarter too high.')

export const bytesSchema = members({
  toClients: count,
  fromOrigins: count,
  saved: count,
}, 'Bytes of response bodies. saved: of those to clients, the ones that no origin sent for the request.')

export const outcomesSchema = byOutcome(count, 'Requests by their outcome. The sum is the number of requests.')
export const latenciesSchema = byOutcome(latencySchema, 'Latency by outcome.')
