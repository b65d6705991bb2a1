// GET /openapi.json: the OpenAPI 3.1 description of this listener, made from the schemas that validate its requests.
import type { FastifyInstance, RouteOptions } from 'fastify'
import { errorCatalogue } from '../errors.ts'

interface RouteSchema {
  readonly querystring?: ObjectSchema
  readonly params?: ObjectSchema
  readonly body?: object
  readonly response?: Readonly<Record<string, object>>
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, object & { readonly description?: string }>>
  readonly required?: readonly string[]
}

/** A line for each operation. A test compares this list with the routes. */
const summaries: Readonly<Record<string, string>> = {
  'GET /healthz': 'Health: 200 while the process runs',
  'GET /readyz': 'Readiness: 200 while the proxy serves, with its degraded parts',
  'GET /metrics': 'Metrics for Prometheus',
  'GET /openapi.json': 'This description',
  'POST /v1/login': 'Logs a browser in with a token, by a cookie',
  'GET /v1/login': 'The token of the request, and its login',
  'DELETE /v1/login': 'Takes the cookie of a login back',
  'GET /v1/stats': 'Counters, latencies and store sizes',
  'GET /v1/history': 'The last minutes or the last hour, step by step',
  'GET /v1/routes': 'Numbers of each route',
  'GET /v1/top': 'The keys, tags, routes and reasons with most requests, misses, bytes or origin time',
  'GET /v1/live': 'An event stream of the numbers of each second',
  'GET /v1/tail': 'An event stream of requests as they end',
  'GET /v1/origins': 'The servers of the origins',
  'GET /v1/replicas': 'The replicas',
  'GET /v1/config': 'The effective configuration, with secrets masked',
  'POST /v1/purge': 'Purges stored responses, and waits for the replicas',
  'GET /v1/purges': 'The latest purges',
  'GET /v1/purges/{id}': 'A purge and the replicas that have applied it, also as an event stream',
  'GET /v1/explain': 'The decision for a GET of a URL now',
  'POST /v1/explain': 'The decision for a request now, and a dry try at the origin',
  'GET /v1/entries': 'Stored responses',
  'POST /v1/reload': 'Reads the configuration again',
  'GET /v1/sessions': 'The sessions of a user',
  'PATCH /v1/sessions': 'Changes the data of all sessions of a user by a merge patch',
  'GET /v1/sessions/keys': 'The public keys of sessions',
  'GET /v1/sessions/{sid}': 'A session',
  'DELETE /v1/sessions/{sid}': 'Ends a session',
  'PATCH /v1/sessions/{sid}': 'Changes the data of a session by a merge patch',
  'POST /v1/sessions/revoke': 'Ends the sessions of a user',
}

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { enum: Object.keys(errorCatalogue) },
    detail: { type: 'string' },
    scope: { type: 'string', description: 'The scope that the token lacks.' },
    errors: {
      type: 'array',
      items: { type: 'object', required: ['path', 'message'], properties: { path: { type: 'string' }, message: { type: 'string' } } },
    },
  },
}

const anything = { description: 'See the documentation.' }
const statusTexts: Readonly<Record<string, string>> = { 200: 'Done', 202: 'Recorded, and not confirmed by every replica', 204: 'Done' }
/** Endpoints whose responses are text, or may be event streams. */
const otherTypes: Readonly<Record<string, readonly string[]>> = {
  'GET /metrics': ['text/plain'],
  'GET /v1/live': ['text/event-stream'],
  'GET /v1/tail': ['text/event-stream'],
  'GET /v1/purges/{id}': ['application/json', 'text/event-stream'],
}

/** Adds the endpoint. `routes` are those of the listener, read at the first request. */
export function openApiRoute(app: FastifyInstance, routes: readonly RouteOptions[], version: string): void {
  let text: string | undefined
  app.get('/openapi.json', { config: { scope: 'any' } }, async (_request, reply) => {
    text ??= JSON.stringify(describe(routes, version))
    return reply.type('application/json; charset=utf-8').send(text)
  })
}

function describe(routes: readonly RouteOptions[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    for (const method of [route.method].flat()) {
      // HEAD goes with each GET, and refusals of other methods are no operations.
      const summary = summaries[`${method} ${path}`]
      if (summary !== undefined) paths[path] = { ...paths[path], [method.toLowerCase()]: operation(route, method, path, summary) }
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Springhouse admin API', version, license: { name: 'MIT', identifier: 'MIT' } },
    paths,
    components: {
      schemas: { Problem: problem },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An admin token.' },
        login: { type: 'apiKey', in: 'cookie', name: 'springhouse_admin', description: 'The cookie of a login. Unsafe requests need X-CSRF-Token too.' },
      },
    },
    security: [{ token: [] }, { login: [] }],
  }
}

function operation(route: RouteOptions, method: string, path: string, summary: string): object {
  const { querystring, params, body, response = {} } = (route.schema ?? {}) as RouteSchema
  const scope = route.config?.scope ?? 'any'
  const types = otherTypes[`${method} ${path}`] ?? ['application/json']
  const told = Object.keys(response).length > 0 ? response : { [path === '/v1/login' && method === 'DELETE' ? 204 : 200]: anything }
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary,
    ...(scope === 'open' ? { security: [] } : { 'x-scope': scope }),
    ...parameters(querystring, params),
    ...(body !== undefined && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(told).map(([status, schema]) => [status, {
        description: statusTexts[status] ?? 'Done',
        ...(status !== '204' && { content: Object.fromEntries(types.map(type => [type, type === 'application/json' ? { schema } : {}])) }),
      }])),
      default: { description: 'A problem (RFC 9457)', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
  }
}

function parameters(querystring: ObjectSchema | undefined, params: ObjectSchema | undefined): object {
  const of = (schema: ObjectSchema | undefined, place: 'query' | 'path'): object[] =>
    Object.entries(schema?.properties ?? {}).map(([name, { description, ...property }]) => ({
      name,
      in: place,
      required: place === 'path' || schema?.required?.includes(name) === true,
      ...(description !== undefined && { description }),
      schema: property,
    }))
  const all = [...of(params, 'path'), ...of(querystring, 'query')]
  return all.length === 0 ? {} : { parameters: all }
}

/** The operations that the description names; for the test. */
export const describedOperations: readonly string[] = Object.keys(summaries)
