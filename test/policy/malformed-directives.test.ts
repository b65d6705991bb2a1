// A malformed directive restricts as a well-formed one would, and permits nothing: RFC 9111 §3.5, §4.2.1, §5.2.2.
import t from 'tap'
import { assess, stored, type Fields } from './scene.ts'

/** Forms of origins that do not know the grammar. `D` is the directive with its argument, `N` its name. */
const malformed = [
  'N=1',
  'N=a',
  'N="a"',
  'N=',
  'N=""',
  "N='a'",
  'N="1"',
  'N=?0',
  'N=?1',
  'N=1.0',
  'N=(1)',
  'N=:YQ==:',
  'N=-1',
  'N =1',
  'N= 1',
  'N = 1',
  'D;x=1',
  'D x',
  'x D',
  'D/x',
  '=D',
  '(D)',
  'D, N=x',
  'N=x, D',
  'D, N=',
  'N="x", D',
  'D,N=1;x',
  'D, x="',
  'x=", D',
  'D "',
  '"x"D',
  '\u00a0D',
  'N',
  'N, N=x',
] as const

/** The forms of a directive that are malformed, or that contradict themselves. */
function formsOf(directive: string): string[] {
  const [name = '', argument] = directive.split('=')
  const forms = malformed.map(form => form.replaceAll('D', directive).replaceAll('N', name))
  return forms.filter(form => form !== directive && !(argument === undefined && form === name) && !wellFormed.has(form))
}

// The grammar allows these forms, with another meaning.
const wellFormed = new Set(['s-maxage=1', 's-maxage=60', 'max-age=1', 'stale-while-revalidate=1', 'stale-if-error=1', 'no-cache=1', 'no-cache=a', 'no-cache="a"', 'private=a',
  'private="a"'])

const fieldNames = ['Cache-Control', 'CDN-Cache-Control', 'Surrogate-Control'] as const

/** The directive in one of the fields, in this form, before or after the part that makes the response storable. */
function* responses(directive: string, base = 'max-age=60'): Generator<readonly [said: string, fields: Fields]> {
  for (const name of fieldNames) {
    for (const form of formsOf(directive)) {
      for (const value of [`${base}, ${form}`, `${form}, ${base}`]) {
        // If a form is no Structured Field, CDN-Cache-Control is ignored as a whole, and this field is read.
        const other: Fields = name === 'Cache-Control' ? {} : { 'Cache-Control': base }
        yield [`${name}: ${value}`, { ...other, [name]: value }]
      }
    }
  }
}

/** In SF a parameter changes nothing, and a Boolean may be written out: the directive is the same without them. */
const sfForms = /^CDN-Cache-Control: (?!.*[",]\s*x=")(?:max-age=60, )?(?:public|must-revalidate|must-understand|s-maxage=60)(?:;x=1|=\?1)(?:, max-age=60)?$/

for (const directive of ['public', 'must-revalidate', 's-maxage=60']) {
  t.test(`${directive} shares what came with credentials only where it is well-formed`, async t => {
    for (const credential of ['Authorization', 'Cookie']) {
      for (const [said, fields] of responses(directive)) {
        if (sfForms.test(said)) continue
        t.equal(assess(fields, { request: { [credential]: 'x' } }).store, false, `${said} (${credential})`)
      }
      for (const name of fieldNames)
        t.equal(assess({ [name]: `max-age=60, ${directive}` }, { request: { [credential]: 'x' } }).store, true, `${name}: ${directive} (${credential})`)
    }
  })
}

t.test('two s-maxage that contradict each other share nothing', async t => {
  for (const name of fieldNames) {
    for (const value of ['s-maxage=60, s-maxage=30', 's-maxage=30, s-maxage=60', 's-maxage=60, s-maxage=0']) {
      t.equal(assess({ [name]: value }, { request: { Authorization: 'x' } }).store, false, `${name}: ${value}`)
    }
    t.equal(assess({ [name]: 's-maxage=60, s-maxage=60' }, { request: { Authorization: 'x' } }).store, true, name)
  }
})

for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
  t.test(`${directive} forbids stale use in every form`, async t => {
    for (const [said, fields] of responses(directive)) {
      const verdict = assess({ ...fields, ETag: '"x"' }, { rules: { staleWhileRevalidateMs: 1000, staleIfErrorMs: 1000 } })
      t.ok(!verdict.store || verdict.meta.neverStale, said)
    }
  })
}

for (const directive of ['no-store', 'private']) {
  t.test(`${directive} forbids storing in every form`, async t => {
    for (const [said, fields] of responses(directive)) t.equal(assess(fields, {}).store, false, said)
  })
}

t.test('no-cache forbids use without validation in every form', async t => {
  for (const [said, fields] of responses('no-cache')) {
    const verdict = assess({ ...fields, ETag: '"x"' }, {})
    t.ok(!verdict.store || verdict.meta.alwaysValidate, said)
  }
})

t.test('must-understand lifts no-store only where it is well-formed, and forbids an unknown status in every form', async t => {
  for (const [said, fields] of responses('must-understand', 'max-age=60, no-store')) {
    if (!sfForms.test(said.replace(', no-store', ''))) t.equal(assess(fields, {}).store, false, said)
  }
  for (const [said, fields] of responses('must-understand')) t.equal(assess(fields, { status: 299 }).store, false, said)
})

t.test("a malformed permission to serve stale is none, and replaces the route's", async t => {
  for (const directive of ['stale-while-revalidate=60', 'stale-if-error=60']) {
    for (const [said, fields] of responses(directive)) {
      // If the field is ignored as a whole, it permits nothing.
      if (said.startsWith('CDN-')) continue
      const verdict = assess({ ...fields, ETag: '"x"' }, { rules: { staleWhileRevalidateMs: 3_600_000, staleIfErrorMs: 3_600_000 } })
      const allowed = !verdict.store ? 0 : directive.startsWith('stale-if') ? verdict.meta.staleIfErrorMs ?? Infinity : verdict.meta.staleWhileRevalidateMs
      t.ok(allowed <= 1000, `${said}: ${allowed}`)
    }
  }
})

t.test('a lifetime that is malformed is none', async t => {
  for (const directive of ['max-age=60', 's-maxage=60']) {
    for (const [said, fields] of responses(directive, 'x')) {
      // Surrogate-Control: `max-age=1;x` is meant for another surrogate.
      if (said.startsWith('CDN-') || /^Surrogate.*max-age=1;x/.test(said)) continue
      const verdict = assess({ ...fields, ETag: '"x"' }, {})
      t.ok(!verdict.store || verdict.meta.lifetimeMs <= 1000, said)
    }
  }
})

// The guards: isOnlyMalformed and isPartlyWellFormed in governingDirectives (policy/directives.ts).
t.test('a targeted field whose directives are all malformed replaces nothing that Cache-Control forbids', async t => {
  const validators: Fields = { 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT', ETag: '"x"' }
  const values = ['must-understand=1', 'stale-while-revalidate=x', 'stale-if-error="a"', 'must-revalidate=1', 'proxy-revalidate="a"', 'no-transform=1', 'max-age=x',
    's-maxage="60"', 'public=1', 'immutable=1', 'max-age=-1, public="a"']
  for (const field of ['CDN-Cache-Control', 'Surrogate-Control']) {
    for (const value of values) {
      for (const forbids of ['private', 'no-store', 'private, max-age=60'])
        t.equal(assess({ ...validators, [field]: value, 'Cache-Control': forbids }).store, false, `${field}: ${value} beside ${forbids}`)
      const verdict = assess({ ...validators, [field]: value, 'Cache-Control': 'max-age=1' })
      t.ok(verdict.store && verdict.meta.lifetimeMs <= 1000, `${field}: ${value} gives no other lifetime`)
      t.match(assess({ ...validators, [field]: `${value}, ${value.startsWith('no-transform') ? 'immutable' : 'no-transform'}`, 'Cache-Control': 'private' }), { store: true },
        `${field}: ${value} beside one that is well-formed`)
    }
    const { meta } = stored({ ...validators, [field]: 'must-revalidate=1', 'Cache-Control': 'max-age=60' })
    t.equal(meta.neverStale, true, `${field} still restricts`)
    t.equal(assess({ ...validators, [field]: 'max-age=x', 'Cache-Control': 'public' }, { request: { Authorization: 'x' } }).store, false, `${field} permits no sharing`)
  }
  t.match(assess({ 'Surrogate-Control': 'max-age=60+30', 'Cache-Control': 'private' }), { store: true }, 'the extension of the Edge Architecture is well-formed')
  t.match(assess({ ...validators, 'CDN-Cache-Control': 'unknown=1', 'Cache-Control': 'private' }), { store: true }, 'one without a known directive is valid (RFC 9213 §2.2)')
})

t.test('an unreadable CDN-Cache-Control is ignored in what it permits, not in what it forbids', async t => {
  const unread = (value: string, request: Fields = {}): ReturnType<typeof assess> => assess({ 'CDN-Cache-Control': `${value}, &&&`, 'Cache-Control': 'max-age=60' }, { request })
  t.match(unread('max-age=1000'), { store: true, meta: { lifetimeMs: 60_000 } })
  for (const value of ['no-store', 'Private', 'must-understand, no-store']) t.equal(unread(value).store, false, value)
  t.equal(unread('public, s-maxage=60, must-revalidate', { Authorization: 'x' }).store, false)
  t.match(unread('no-cache'), { store: true, meta: { alwaysValidate: true } })
  t.match(unread('must-revalidate'), { store: true, meta: { neverStale: true } })
})
