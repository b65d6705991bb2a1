// Compares the schema's builders with TypeBox, and the walk that finds faults with ajv.
import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { Type as TypeBox } from 'typebox'
import { faultsOf } from '../../src/config/faults.ts'
import { formats, type FormatName } from '../../src/config/formats.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { configNode } from '../../src/config/node.ts'
import { Type } from '../../src/json-schema.ts'

t.test('each builder gives the schema that TypeBox gives', async test => {
  const build = (by: typeof Type) =>
    by.Object({
      flag: by.Optional(by.Boolean({ default: true, description: 'prose' })),
      map: by.Record(by.String({ pattern: '^[a-z]+$' }), by.Integer({ minimum: 1, maximum: 9 }), { default: {} }),
      any: by.Record(by.String(), by.String({ format: 'x' })),
      choice: by.Enum(['a', 'b'], { default: 'a' }),
      union: by.Union([by.Literal('auto'), by.Literal(1), by.Literal(true), by.Array(by.String(), { minItems: 1 })], { expects: 'some' }),
      empty: by.Object({}, { additionalProperties: false }),
      optional: by.Optional(by.Object({ none: by.Optional(by.String()) })),
    }, { additionalProperties: false })
  test.equal(JSON.stringify(build(Type)), JSON.stringify(build(TypeBox)))
})

const ajv = new Ajv({ allErrors: true, strict: false, formats: Object.fromEntries((Object.keys(formats) as FormatName[]).map(name => [name, formats[name].test])) })
const validate = ajv.compile(configNode)

/** Where ajv finds a fault. The error of a union stands for those of its members. */
function placesByAjv(value: unknown): string[] {
  validate(value)
  const places = (validate.errors ?? []).filter(({ schemaPath }) => !schemaPath.includes('/anyOf/')).map(({ instancePath, params }) =>
    [instancePath, ...Object.entries(params as object).filter(([name]) =>
      ['additionalProperty', 'missingProperty'].includes(name)
    ).map(([, member]) => String(member).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/')
  )
  return [...new Set(places)].toSorted()
}

function placesByWalk(value: unknown): string[] {
  const pointer = (keys: readonly (string | number)[]) => keys.map(key => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  return [...new Set(faultsOf(configNode, value).map(({ place, kind, member = '' }) => pointer(kind === 'unknown' || kind === 'missing' ? [...place, member] : place)))].toSorted()
}

const whole = resolveConfig({
  proxy: { trustProxy: ['10.0.0.0/8'] },
  admin: { tokens: [{ name: 'a', token: 'b' }] },
  redis: { url: 'redis://u:pw@h:1' },
  origins: { api: { servers: ['http://x:80'], health: { path: '/healthz' }, tls: {} }, b: { servers: ['http://y'] } },
  routes: [{ match: { path: '/v1/' }, origin: 'api', cache: { cookies: 'ignore' } }, { origin: 'b', requestHeaders: { allow: ['x'] } }],
})

type Holder = Record<string | number, unknown>

/** Every place of a value: its container, and its key. */
function placesOf(value: unknown): [Holder, string | number][] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Holder
  return Object.keys(holder).flatMap(key => [[holder, key] as [Holder, string], ...placesOf(holder[key])])
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, '', 'auto', 'private', 'http://h', 'redis://h', [], {}, [''], ['a', 'a'], [1, 1, 502], { key: ['a'] }, { allow: [] }, { key: [],
    x: 1 }, -1, 0, 0.5, 1e12, '5s', NaN, undefined),
  fc.string(),
  fc.integer(),
  fc.dictionary(fc.string(), fc.integer()),
  fc.array(fc.constantFrom('read', 'purge', 'x')),
)

t.test('a configuration with any value anywhere has the faults that ajv finds, at the same places', async test => {
  let faulty = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), odd, fc.option(fc.constantFrom('x', 'host', 'cache', 'constructor', 'a/b~c'), { nil: undefined, freq: 4 })), { minLength: 1, maxLength: 3 }),
      edits => {
        const config = structuredClone(whole) as unknown as Holder
        for (const [at, value, added] of edits) {
          const places = placesOf(config)
          const [holder, key] = places[at % places.length] as [Holder, string]
          holder[added ?? key] = structuredClone(value)
        }
        const expected = placesByAjv(config)
        if (expected.length > 0) faulty++
        if (JSON.stringify(placesByWalk(config)) !== JSON.stringify(expected))
          throw new Error(`${JSON.stringify(config)}: ${placesByWalk(config).join(' ')} instead of ${expected.join(' ')}`)
      },
    ),
    { numRuns: 2000 },
  )
  test.ok(faulty > 1000, `${faulty} of them are faulty`)
})
