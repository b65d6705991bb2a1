// The schemas of responses about logins, purges, explanations and entries, for the OpenAPI description.
import { Type } from '../json-schema.ts'
import { members } from './response-schemas.ts'

const text = Type.String()
const count = Type.Integer({ minimum: 0 })
const atMs = Type.Integer({ description: 'Milliseconds since the epoch.' })
const texts = Type.Array(text)
const orNull = <Schema extends object>(schema: Schema) => Type.Union([schema as never, Type.Null()])

export const loginResponse = members({ name: text, scopes: texts, expiresMs: orNull(atMs), csrf: orNull(text) })

export const purgeResponse = members({
  id: text,
  soft: Type.Boolean(),
  replicas: members({ live: count, acknowledged: count }),
  matched: Type.Union([count, Type.Literal('unknown')]),
})

const purge = {
  id: text,
  atMs,
  by: orNull(text),
  cause: text,
  soft: Type.Boolean(),
  all: Type.Boolean(),
  urls: texts,
  prefixes: texts,
  tags: texts,
  tagsMatch: Type.Enum(['any', 'all']),
}

export const purgesResponse = members({ purges: Type.Array(members(purge)), cursor: Type.Optional(text) })
export const onePurgeResponse = members({
  ...purge,
  replicas: members({
    live: count,
    acknowledged: count,
    list: Type.Array(members({ id: text, acknowledged: Type.Boolean(), lagMs: orNull(count) })),
  }),
})

const reason = { reason: text, section: text, meaning: text, advice: text }
const field = { of: Type.Optional(Type.Enum(['request', 'response'])), field: Type.Optional(text), value: Type.Optional(text) }

export const explainResponse = members({
  url: text,
  method: text,
  route: text,
  key: text,
  keyParts: Type.Array(members({ part: text, source: text })),
  decision: members({ action: text, ...reason }),
  steps: Type.Array(members({ step: text, outcome: text, reason: Type.Optional(text), section: Type.Optional(text), ...field })),
  variants: Type.Array(
    members({ variant: text, status: count, freshness: Type.Enum(['fresh', 'stale']), ageMs: count, lifetimeMs: count, tags: texts, bytes: count, verdict: text }),
  ),
  unkeyed: texts,
  last: Type.Array(members({ atMs, replica: text, status: count, ...reason, ...field })),
  tried: Type.Optional(members({ ms: count, status: Type.Optional(count), stored: Type.Optional(Type.Boolean()), error: Type.Optional(text) })),
})

export const entriesResponse = members({
  entries: Type.Array(members({ key: text, url: text, variant: text, status: count, bytes: count, tags: texts, verdict: text })),
  cursor: Type.Optional(text),
})
