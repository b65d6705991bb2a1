// Facets in the key: two identities share a key only if every facet has the same type and value. FACET_PAIRS sets how many pairs are tried.
import fc from 'fast-check'
import t from 'tap'
import { encodeFacets, type FacetText } from '../../src/policy/facets.ts'
import { precedesChange, sharingOf, type Sender } from '../../src/policy/identity.ts'

const keyOf = (values: Readonly<Record<string, FacetText>>, source = 'session'): string | undefined => {
  const facets = encodeFacets(source, Object.keys(values), name => values[name])
  return facets.kind === 'fit' ? facets.keyPart : undefined
}

t.test('values that a careless encoding would confuse have different keys', async t => {
  const texts: FacetText[] = [undefined, '""', '"null"', 'null', '1', '"1"', 'true', '"true"', '[]', '[1]', '["1"]', '["a"]', '"a"', '["a","b"]', '"[\\"a\\",\\"b\\"]"', '["a b"]',
    '["a","a"]', '["ab"]', '1.0', '10', '9007199254740993', '9007199254740992', '"é"', '"e\\u0301"', '" "', '"-"', '"s1:a"', '[""]', '["",""]', 'false', '[null]', '[true]']
  const keys = texts.map(text => keyOf({ tenant: text }))
  t.equal(new Set(keys).size, texts.length)
  t.not(keyOf({ a: '"x"', b: undefined }), keyOf({ a: undefined, b: '"x"' }))
  t.not(keyOf({ a: '"x 1:b=s1:y"' }), keyOf({ a: '"x"', b: '"y"' }))
  t.not(keyOf({ a: '"x"' }, 'session'), keyOf({ a: '"x"' }, 'idp'), 'the source is part of the key')
})

t.test('equal values in another notation share', async t => {
  t.equal(keyOf({ a: '"\\u0041"' }), keyOf({ a: '"A"' }))
  t.equal(keyOf({ roles: '["b","a"]' }), keyOf({ roles: '["a","b"]' }))
  const shown = encodeFacets('session', ['roles', 'none'], name => (name === 'roles' ? '["b","\\u0061",2]' : undefined))
  t.equal(shown.kind === 'fit' && shown.shown, '{"roles":[2,"a","b"]}', 'the origin is told the same order')
})

t.test('a value without a bounded form is unfit', async t => {
  const text = (bytes: number): string => JSON.stringify('x'.repeat(bytes))
  t.ok(keyOf({ a: text(256) }))
  t.equal(keyOf({ a: text(257) }), undefined)
  t.equal(keyOf({ a: JSON.stringify('é'.repeat(129)) }), undefined, 'bytes, not characters')
  t.ok(keyOf({ a: JSON.stringify(Array.from({ length: 16 }, (_, i) => i)) }))
  t.equal(keyOf({ a: JSON.stringify(Array.from({ length: 17 }, (_, i) => i)) }), undefined)
  for (const nested of ['{}', '{"a":1}', '[[1]]', '[{"a":1}]']) t.equal(keyOf({ a: nested }), undefined, nested)
})

const scalars = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('', 'null', '-', '1', 'true', ' ', '=', ':', ',', 'é', 'e\u0301', 'x'.repeat(256), 'x'.repeat(257), '\ud83d\ude00'),
  fc.integer({ min: -3, max: 12 }),
  fc.constantFrom(0.5, -7.25, 1e21, 9007199254740992, null),
  fc.boolean(),
)
const values = fc.option(fc.oneof(scalars, fc.array(scalars, { maxLength: 4 })), { nil: undefined })
const identities = fc.record({ source: fc.constantFrom('session', 'idp', 'idp 4:role=-'), tenant: values, role: values })

/** The same value in a form that compares: a list without order. */
function same(value: unknown): string {
  return value === undefined
    ? 'absent'
    : Array.isArray(value)
    ? `list ${JSON.stringify(value.map(each => JSON.stringify(each)).sort())}`
    : `${typeof value} ${JSON.stringify(value)}`
}

t.test('random pairs of identities share a key exactly if their facets are equal', async t => {
  const numRuns = Number(process.env['FACET_PAIRS'] ?? 100_000)
  const textOf = (value: unknown): FacetText => (value === undefined ? undefined : JSON.stringify(value))
  let fit = 0
  fc.assert(fc.property(identities, identities, fc.boolean(), (one, other, alike) => {
    const second = alike ? { source: one.source, tenant: one.tenant, role: other.role } : other
    const [a, b] = [one, second].map(({ source, tenant, role }) => keyOf({ tenant: textOf(tenant), role: textOf(role) }, source))
    if (a === undefined || b === undefined) return true
    fit++
    return (a === b) === (one.source === second.source && same(one.tenant) === same(second.tenant) && same(one.role) === same(second.role))
  }), { numRuns })
  t.ok(fit > numRuns / 2, `${fit} pairs had keys`)
})

t.test('the requests that share responses', async t => {
  const known: Sender = { kind: 'known', source: 'session', facet: name => (name === 'tenant' ? '"a"' : undefined), mark: '5' }
  const rules = { facets: ['tenant'], forward: 'facets' } as const
  t.match(sharingOf({ kind: 'visitor' }, rules), { keyPart: '', privateBecause: undefined })
  t.match(sharingOf({ kind: 'unrecognised', reason: 'identity' }, rules), { privateBecause: 'identity' })
  t.match(sharingOf(known, { ...rules, facets: [] }), { privateBecause: 'identity', keyPart: '' })
  t.match(sharingOf(known, rules), { privateBecause: undefined, facets: '{"tenant":"a"}', needsGrant: false, mark: '5' })
  t.match(sharingOf(known, { ...rules, forward: 'all' }), { privateBecause: undefined, facets: undefined, needsGrant: true })
  t.match(sharingOf({ ...known, facet: () => '{}' }, rules), { privateBecause: 'facet' })
  t.equal(precedesChange('4', '5'), true)
  t.equal(precedesChange('5', '5'), false)
  t.equal(precedesChange('4', undefined), false)
})
