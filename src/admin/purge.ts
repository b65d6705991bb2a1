// POST /v1/purge invalidates, and reports how many replicas have applied it.
import type { FastifyInstance } from 'fastify'
import { maxTagBytes } from '../http/tags.ts'
import type { Purge, UrlPattern } from '../store/purge/log.ts'
import { Type, type Static } from '../json-schema.ts'
import { countMatched } from './matched.ts'
import { purgeResponse } from './own-responses.ts'
import { requestProblem } from './problems.ts'
import type { Turns } from './turns.ts'
import { maxUrlChars, readUrlPattern, showPattern } from './url-pattern.ts'
import type { AdminParts } from './parts.ts'

const maxItems = 1000
/** The most characters of a purge's keyed targets, because every replica reads them in one turn. */
const maxKeyedChars = 2_097_152
const patterns = (description: string) => Type.Array(Type.String({ minLength: 1, maxLength: maxUrlChars, format: 'url-pattern' }), { maxItems, description })

const purgeBody = Type.Object(
  {
    urls: Type.Optional(patterns('URLs, with all their variants: absolute (the scheme does not matter), or a path for every host.')),
    tags: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: maxTagBytes, format: 'tag' }), { maxItems, description: 'Tags that the origin put on its responses, as text.' }),
    ),
    prefixes: Type.Optional(patterns('Beginnings of URLs, in the form of URLs, compared character by character: `/api` reaches `/apikeys` too. No character is a wildcard.')),
    all: Type.Optional(Type.Boolean({ description: 'Everything that is stored.' })),
    soft: Type.Optional(Type.Boolean({ description: 'Makes entries stale instead of invalid, so that they can be revalidated or served stale.' })),
    tagsMatch: Type.Optional(Type.Enum(['any', 'all'], { description: 'any: an entry must carry one of the tags. all: it must carry every tag.' })),
    waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, description: 'How long to wait for every replica to acknowledge, in milliseconds.' })),
  },
  {
    additionalProperties: false,
    // Requires a non-empty list of urls, tags or prefixes, or `all`.
    anyOf: [
      ...['urls', 'tags', 'prefixes'].map((name) => ({ required: [name], properties: { [name]: { minItems: 1 } } })),
      { required: ['all'], properties: { all: { const: true } } },
    ],
    'x-expects': 'must name what to purge: one or more of "urls", "tags", "prefixes" (arrays of strings), or "all": true',
  },
)

/** Reads patterns that the schema's format has already accepted. */
function readPatterns(texts: readonly string[] = []): UrlPattern[] {
  return texts.map((text) => readUrlPattern(text).pattern).filter((pattern) => pattern !== undefined)
}

/** Converts a checked body to a purge. */
function toPurge(body: Static<typeof purgeBody>): Purge {
  return {
    urls: readPatterns(body.urls),
    prefixes: readPatterns(body.prefixes),
    tags: body.tags ?? [],
    tagsMatch: body.tagsMatch ?? 'any',
    all: body.all ?? false,
    soft: body.soft ?? false,
  }
}

/** Summarises a purge for the log: counts and the first items, because a purge may name thousands. */
function summary(purge: Purge): Record<string, unknown> {
  const named = [...purge.urls.map(showPattern), ...purge.prefixes.map(showPattern), ...purge.tags]
  return { urls: purge.urls.length, prefixes: purge.prefixes.length, tags: purge.tags.length, tagsMatch: purge.tagsMatch, all: purge.all, first: named.slice(0, 5) }
}

/** Returns a short text for the audit trail. */
function shortText(purge: Purge): string {
  const names = [...purge.tags.map(tag => `tag ${tag}`), ...purge.urls.map(url => showPattern(url)), ...purge.prefixes.map(prefix => `${showPattern(prefix)}…`)]
  const [first = 'nothing'] = names
  const what = purge.all ? 'everything' : names.length === 1 ? first : `${first} and ${names.length - 1} more`
  return purge.soft ? `${what}, soft` : what
}

export function purgeRoutes(app: FastifyInstance, parts: AdminParts, turns: Turns): void {
  app.post<{ Body: Static<typeof purgeBody> }>('/v1/purge', { config: { scope: 'purge', audit: 'purge' },
    schema: { body: purgeBody, response: { 200: purgeResponse, 202: purgeResponse } } }, async (request, reply) => {
    const purge = toPurge(request.body)
    request.audited = shortText(purge)
    const keyed = await parts.keyed(purge, () => turns.next())
    const chars = keyed.urls.reduce((sum, url) => sum + url.target.length, 0)
    if (chars > maxKeyedChars)
      throw requestProblem([{ path: 'urls', message: `stand for ${keyed.urls.length} targets on all routes, which is too much for one purge: send them in several requests` }])
    // Before the purge is recorded: afterwards it is not known which entries earlier purges had invalidated.
    const matched = await countMatched(parts, keyed, turns)
    const receipt = await parts.purge(keyed, request.body.waitMs ?? parts.defaultPurgeWaitMs, request.tokenName)
    const { replicas: { live, acknowledged }, copied } = receipt
    request.log.info({ token: request.tokenName, id: receipt.id, soft: purge.soft, purge: summary(purge), live, acknowledged, copied, matched }, 'purge')
    // 202: recorded, but a replica that has not acknowledged the purge may still serve what it names; or only the Redis master has
    // it, although a Redis replica follows the master.
    return reply.code(acknowledged < live || !copied ? 202 : 200).send({ id: receipt.id, soft: receipt.soft, replicas: { live, acknowledged }, matched })
  })
}
