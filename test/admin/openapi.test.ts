// The OpenAPI description: valid, complete, true of the responses, and the source of random requests of which none does harm.
import { Agent, request as send } from 'node:http'
import type { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import t from 'tap'
import { describedOperations } from '../../src/admin/openapi.ts'
import { randomFrom } from '../hostile/mutate.ts'
import { startProxy, token } from '../support/proxy.ts'

type Json = Readonly<Record<string, unknown>>
interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: 'query' | 'path'; readonly required: boolean; readonly schema: Json }[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Json } } }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Json }>> }>>
}
interface Description {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** An ajv that knows the keywords of the description, and takes each format as plain text. */
function makeAjv(coerceTypes: boolean): Ajv {
  const ajv = new Ajv({ strict: false, allErrors: false, coerceTypes })
  for (const format of ['url-pattern', 'absolute-url', 'tag']) ajv.addFormat(format, true)
  return ajv
}

const origin = (_request: unknown, response: { end(text: string): void }): void => void response.end('body')

t.test('it is valid OpenAPI 3.1, and has each operation of the listener', async t => {
  const house = await startProxy(t, { origin, config: { sessions: { enabled: true } } })
  const text = String((await house.admin('/openapi.json')).body)
  const description = JSON.parse(text) as Description
  t.equal(description.openapi, '3.1.0')
  // From its own folder, not from the bundle of the test: it reads its schemas beside its code.
  const library = new URL('../../../node_modules/@seriousme/openapi-schema-validator/index.js', import.meta.url).href
  const { Validator: OwnValidator } = await import(library) as { Validator: typeof Validator }
  const { valid, errors } = await new OwnValidator().validate(JSON.parse(text) as Record<string, unknown>)
  t.ok(valid, JSON.stringify(errors))
  const has = Object.entries(description.paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`))
  // /v1/reload needs a process that can reload.
  t.same(describedOperations.filter(each => !has.includes(each) && !['POST /v1/reload', 'GET /v1/live', 'GET /v1/tail'].includes(each)), [])
  for (const each of has) {
    const [method = '', path = ''] = each.split(' ')
    const operation = description.paths[path]?.[method.toLowerCase()] as Operation
    t.same((operation.parameters ?? []).filter(({ in: place }) => place === 'path').map(({ name }) => name), [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name), each)
  }
})

/** Makes values of a schema, most of them right. */
class Maker {
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  chance(share: number): boolean {
    return this.#random() < share
  }

  pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)] as T
  }

  value(schema: Json, depth = 0): unknown {
    if (this.chance(0.02)) return this.odd()
    if (Array.isArray(schema['enum'])) return this.pick(schema['enum'])
    if ('const' in schema) return schema['const']
    if (schema['type'] === 'object') return this.#object(schema, depth)
    if (Array.isArray(schema['anyOf'])) return this.value(this.pick(schema['anyOf'] as Json[]), depth + 1)
    switch (schema['type']) {
      case 'array':
        return Array.from({ length: Math.floor(this.#random() * 3) }, () => this.value(schema['items'] as Json, depth + 1))
      case 'integer': {
        const least = Number(schema['minimum'] ?? 0)
        return least + Math.floor(this.#random() * Math.min(50, Number(schema['maximum'] ?? 50) - least + 1))
      }
      case 'boolean':
        return this.chance(0.5)
      default:
        return this.#text(schema)
    }
  }

  odd(): unknown {
    return this.pick<unknown>([null, -1, 1.5, 1e21, '', ' ', '\u0000', '{}', [], {}, true, 'x'.repeat(70_000), '__proto__', '*', 'http://a/\u007f', '%zz'])
  }

  #object(schema: Json, depth: number): Json {
    const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Json>>
    const required = (schema['required'] ?? []) as readonly string[]
    const made = Object.entries(properties).filter(([name]) => required.includes(name) ? !this.chance(0.03) : this.chance(0.4)).map((
      [name, each],
    ) => [name, this.value(each, depth + 1)])
    const [map] = Object.values((schema['patternProperties'] ?? {}) as Readonly<Record<string, Json>>)
    if (map !== undefined) made.push([this.pick(['accept', 'cookie', 'x y', 'cache-control', 'host']), this.value(map, depth + 1)])
    if (this.chance(0.03)) made.push([this.pick(['nosuch', '__proto__', 'constructor']), this.odd()])
    return Object.fromEntries(made) as Json
  }

  #text({ format, pattern }: Json): string {
    if (format === 'absolute-url') return this.pick(['http://a/', 'https://api.example/v1/items?page=2', 'http://[::1]:80/x', 'ftp://a/'])
    if (format === 'url-pattern') return this.pick(['/', '/v1/', 'http://a/x', '/%7Ea', 'x'])
    if (pattern === '^[0-9a-z.]+$') return this.pick(['0', '0000000000000000', '0.1', 'A'])
    return this.pick(['a', 'red', 'GET', 'HEAD', 'de', 'x y', 'ü', '\u001b[31m'])
  }
}

interface Sent {
  readonly status: number
  readonly body: string
}

// The guards: `additionalProperties: false` in each schema, `schemaCompiler`, and `answerError`.
t.test('5,000 random requests never make a 5xx, what the schema refuses is refused, and responses are as described', async t => {
  const seed = Number(process.env['OPENAPI_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`seed ${seed}: OPENAPI_SEED=${seed} repeats it`)
  const maker = new Maker(randomFrom(seed))
  const house = await startProxy(t, { origin, config: { sessions: { enabled: true } } })
  const description = JSON.parse(String((await house.admin('/openapi.json')).body)) as Description
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const port = Number(new URL(house.app.adminUrl).port)
  const ask = (method: string, path: string, payload: string | undefined): Promise<Sent> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`,
        ...(payload !== undefined && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }) }
      const sent = send({ host: '127.0.0.1', port, method, path, agent, headers }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        }).on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
      sent.on('error', reject)
      sent.end(payload)
    })

  // Event streams have no end, and sessions a scope of their own.
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  )
    .filter(({ path }) => !['/v1/live', '/v1/tail', '/metrics', '/openapi.json'].includes(path) && !path.startsWith('/v1/sessions'))
  const [typed, coercing, ofResponses] = [makeAjv(false), makeAjv(true), makeAjv(false)]
  let accepted = 0
  const wrong: unknown[] = []
  const one = async (): Promise<void> => {
    const { path, method, operation } = maker.pick(operations)
    const { parameters = [], requestBody, responses } = operation
    const given = (place: 'query' | 'path'): [string, string][] =>
      parameters.filter(({ in: where, required }) => where === place && (required ? !maker.chance(place === 'path' ? 0 : 0.03) : maker.chance(0.5)))
        .map(({ name, schema }) => [name, String(maker.value(schema)).replaceAll('\u0000', '')])
    const query = given('query')
    if (maker.chance(0.03)) query.push(['nosuch', '1'])
    const target = given('path').reduce((url, [name, value]) => url.replace(`{${name}}`, encodeURIComponent(value) || 'x'), path)
    const schema = requestBody?.content['application/json'].schema
    const payload = schema === undefined ? undefined : maker.chance(0.02) ? '{"all":' : JSON.stringify(maker.value(schema))
    const { status, body } = await ask(method, `${target}${query.length === 0 ? '' : `?${new URLSearchParams(query)}`}`, payload)
    const shown = { method, path, query, payload: payload?.slice(0, 300), status }
    if (status >= 500) wrong.push({ ...shown, problem: '5xx', body })
    if (status < 300) accepted++
    if (status < 300 && refuses(operation, query, payload)) wrong.push({ ...shown, problem: 'taken although the schema refuses it' })
    const described = (responses[status] ?? responses['default'])?.content
    const response = described?.['application/json']?.schema
    if (status < 300 && responses[status] === undefined) wrong.push({ ...shown, problem: 'a status that is not described' })
    if (response !== undefined && body !== '' && !ofResponses.validate(response, JSON.parse(body)))
      wrong.push({ ...shown, problem: ofResponses.errorsText(), body: body.slice(0, 300) })
  }
  const refuses = ({ parameters = [], requestBody }: Operation, query: readonly [string, string][], payload: string | undefined): boolean => {
    const ofQuery = parameters.filter(({ in: place }) => place === 'query')
    const properties = Object.fromEntries(ofQuery.map(({ name, schema }) => [name, schema]))
    const asked = Object.fromEntries(query.filter(([, value]) => value !== ''))
    const allowed = { type: 'object', properties, required: ofQuery.filter(({ required }) => required).map(({ name }) => name), additionalProperties: false }
    if (ofQuery.length > 0 && !coercing.validate(allowed, asked)) return true
    const schema = requestBody?.content['application/json'].schema
    return schema !== undefined && (payload === '{"all":' || !typed.validate(schema, JSON.parse(payload ?? 'null')))
  }
  const total = 5_000
  await Promise.all(Array.from({ length: 8 }, async (_, lane) => {
    for (let i = lane; i < total; i += 8) await one()
  }))
  t.same(wrong.slice(0, 5), [], `seed ${seed}`)
  t.ok(accepted >= total * 0.3, `${accepted} of ${total} accepted, seed ${seed}`)
  t.equal((await house.admin('/readyz')).status, 200)
})
