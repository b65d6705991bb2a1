// GET and POST /v1/explain: the decision for a request now, its reasons, and a dry try at the origin.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ExplainRequest } from '../exchange/explain/explain.ts'
import type { FieldLines } from '../http/fields.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { Explanation } from '../exchange/explain/explanation.ts'
import { Type, type Static } from '../json-schema.ts'
import type { AccessControl } from './auth.ts'
import { AdminProblem, requestProblem } from './problems.ts'
import { explainResponse } from './own-responses.ts'
import { maxUrlChars } from './url-pattern.ts'
import type { AdminParts } from './parts.ts'

// RFC 9110 §5.6.2, §5.5
const token = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
const fieldText = Type.String({ pattern: '^[^\\r\\n\\u0000]*$' })

/** The most names, lines of one name, and characters in all. A request to the proxy has a bound too. */
const maxNames = 256
const maxLines = 256
const maxFieldChars = 262_144
const maxFacets = 64

const url = Type.String({ minLength: 1, maxLength: maxUrlChars, format: 'absolute-url', description: 'The URL as clients request it.' })
const scalar = [Type.String(), Type.Integer(), Type.Boolean()]
const facetValue = Type.Union([...scalar, Type.Array(Type.Union(scalar))], { 'x-expects': 'must be a string, a whole number, true, false, or an array of these' })
const explainQuery = Type.Object({ url }, { additionalProperties: false })
const explainBody = Type.Object(
  {
    url,
    method: Type.Optional(Type.String({ pattern: token, maxLength: 64, description: 'GET if not given.' })),
    headers: Type.Optional(
      Type.Record(Type.String(),
        Type.Union([fieldText, Type.Array(fieldText, { maxItems: maxLines })], { 'x-expects': 'must be a string or an array of at most 256 strings, without line breaks' }), {
        propertyNames: { pattern: token },
        maxProperties: maxNames,
        description: 'Request fields by name; an array stands for several lines of one name.',
      }),
    ),
    facets: Type.Optional(
      Type.Record(Type.String(), facetValue, {
        maxProperties: maxFacets,
        description: 'The facets of a session that sends the request, by name. Left out: a visitor sends it.',
      }),
    ),
    try: Type.Optional(
      Type.Boolean({ description: 'true: one GET with these fields is sent to the origin of the route, and its response is judged and not stored. Needs the scope purge.' }),
    ),
  },
  { additionalProperties: false, 'x-expects': 'must be an object with "url", and may have "method", "headers", "facets" and "try"' },
)

function toFieldLines(headers: Readonly<Record<string, string | readonly string[]>>): FieldLines {
  return Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [value] : value).flatMap((line) => [name.toLowerCase(), withoutOuterSpace(line)]))
}

export function explainRoutes(app: FastifyInstance, access: AccessControl, parts: AdminParts): void {
  const answer = async (request: ExplainRequest): Promise<Explanation> => {
    const explanation = await parts.explain(request)
    if (explanation === undefined) throw new AdminProblem('NO_ROUTE')
    return explanation
  }

  app.get<{ Querystring: Static<typeof explainQuery> }>(
    '/v1/explain',
    { config: { scope: 'read' }, schema: { querystring: explainQuery, response: { 200: explainResponse } } },
    async (request) => answer({ url: request.query.url, method: 'GET', fields: [] }),
  )
  app.post<{ Body: Static<typeof explainBody> }>('/v1/explain', { config: { scope: 'read' }, schema: { body: explainBody, response: { 200: explainResponse } } },
    async (request) => {
      const { url: asked, method = 'GET', headers = {}, facets, try: isTry = false } = request.body
      if (isTry) allowTry(request, access, method, asked)
      const fields = toFieldLines(headers)
      const chars = fields.reduce((sum, text) => sum + text.length, 0)
      if (chars > maxFieldChars) throw requestProblem([{ path: 'headers', message: `must not have more than ${maxFieldChars} characters in all, and has ${chars}` }])
      return answer({ url: asked, method, fields, facets, ...(isTry && { try: true }) })
    })
}

/** A try sends a request that a client could send too. But it does so for the holder of a token, from inside. */
function allowTry(request: FastifyRequest, access: AccessControl, method: string, asked: string): void {
  request.auditAction = 'try'
  request.audited = asked
  access.require(request, 'purge')
  if (method !== 'GET') throw requestProblem([{ path: 'method', message: 'must be GET with "try": true' }])
}
