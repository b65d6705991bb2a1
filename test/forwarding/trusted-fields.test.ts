// The fields of a trusted proxy: which are forwarded, and which of those are in the key.
import fc from 'fast-check'
import t from 'tap'
import { fieldLineValues, fieldValue, type FieldLines } from '../../src/http/fields.ts'
import { keyedProvenance, provenanceLines } from '../../src/forwarding/trusted-fields.ts'
import { understood } from '../support/loose-reader.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'

const balancer: RequestContext = { address: '10.0.0.2', scheme: 'http', httpVersion: '1.1', trusted: true, requestId: 'x' }

function sentFor(lines: FieldLines, scheme: 'http' | 'https' = 'http'): string[] {
  return provenanceLines(lines, { ...balancer, scheme }, 'h')
}

function keyFor(lines: FieldLines, scheme: 'http' | 'https' = 'http'): string {
  return JSON.stringify(keyedProvenance(sentFor(lines, scheme), { scheme, authority: 'h' }))
}

const nothing = keyFor([])

t.test('the fields that a usual balancer adds create no separate key', async t => {
  for (const lines of [
    ['x-forwarded-for', '1.1.1.1'],
    ['x-forwarded-for', '1.1.1.1', 'x-forwarded-for', '::1'],
    ['x-real-ip', '1.1.1.1', 'x-forwarded-for', 'unknown'],
    ['X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'h', 'X-Forwarded-Port', '80'],
    ['x-forwarded-proto', 'http', 'x-forwarded-proto', 'https'],
    ['x-forwarded-host', 'h', 'x-forwarded-host', 'evil'],
    ['forwarded', 'for=1.1.1.1'],
    ['forwarded', 'for=1.1.1.1', 'forwarded', 'for=_x;by=unknown'],
    ['forwarded', 'for=1.1.1.1;host="h";proto=http'],
    ['accept', 'x', 'connection', 'x-forwarded-for'],
  ]) t.equal(keyFor(lines), nothing, lines.join())
  t.equal(keyFor(['x-forwarded-port', '443'], 'https'), keyFor([], 'https'))
  t.equal(fieldValue(sentFor(['x-forwarded-host', 'h', 'x-forwarded-host', 'evil']), 'x-forwarded-host'), 'h', 'a field that is not sent is not keyed')
})

// The guard: keyedProvenance judges a field by all of its lines, in the order in which they are sent.
t.test('lines that add no information are in the key if other lines stand beside them', async t => {
  const apart: readonly (readonly [FieldLines, FieldLines])[] = [
    [['forwarded', 'for=6.6.6.6', 'forwarded', 'for=1.1.1.1;host=w;proto=https'], ['forwarded', 'for=1.1.1.1;host=w;proto=https']],
    [['forwarded', 'for=6.6.6.6, for=1.1.1.1;host=w;proto=https'], ['forwarded', 'for=1.1.1.1;host=w;proto=https']],
    [['forwarded', 'for=1.1.1.1;host=w', 'forwarded', 'for=6.6.6.6'], ['forwarded', 'for=1.1.1.1;host=w']],
    [['forwarded', 'for=1.1.1.1;host=a, for=1.1.1.1;host=b'], ['forwarded', 'for=1.1.1.1;host=b, for=1.1.1.1;host=a']],
    [['forwarded', 'for=1.1.1.1;host="h";proto=http, for=1.1.1.1;host=w'], ['forwarded', 'for=1.1.1.1;host=w']],
    [['forwarded', 'for=1.1.1.1'], ['forwarded', 'for=1.1.1.1;host=h']],
    [['x-forwarded-host', 'evil', 'x-forwarded-host', 'h'], ['x-forwarded-host', 'h']],
    [['x-forwarded-proto', 'nothttps', 'x-forwarded-proto', 'http'], ['x-forwarded-proto', 'http']],
    [['x-forwarded-port', '80', 'x-forwarded-port', '8443'], ['x-forwarded-port', '8443']],
    [['x-forwarded-port', '80', 'x-forwarded-port', '80'], []],
    [['x-forwarded-port', '80', 'x_forwarded_port', '8443'], ['x_forwarded_port', '8443']],
    [['x-forwarded-port', '80', 'x_forwarded_proto', 'https'], ['x_forwarded_proto', 'https']],
    [['x-forwarded-port', '80', 'x-forwarded-host', 'w:8443'], ['x-forwarded-host', 'w:8443']],
    [['x-forwarded-port', '80', 'x-forwarded-proto', 'https, http'], ['x-forwarded-proto', 'https, http']],
    [['x-real-ip', '1.1.1.1', 'x-real-ip', 'evil'], ['x-real-ip', 'evil']],
    [['x-real-ip', 'evil', 'x-real-ip', '1.1.1.1'], ['x-real-ip', '1.1.1.1', 'x-real-ip', 'evil']],
    [['x-real-ip', '1.1.1.1', 'x_real_ip', 'evil'], ['x_real_ip', 'evil']],
    [['x-host', 'a', 'x-host', 'b'], ['x-host', 'b', 'x-host', 'a']],
    [['x-forwarded-for', 'evil'], []],
    [['forwarded', 'for= 1.1.1.1'], []],
    [['forwarded', 'for=;host=w'], ['forwarded', 'for=1.1.1.1;host=w']],
  ]
  for (const [one, other] of apart) t.not(keyFor(one), keyFor(other), `${one.join()} | ${other.join()}`)
})

t.test("an element that names only addresses is given this hop's host and proto, unless another field says otherwise", async t => {
  const forwarded = (...lines: string[]): string[] => fieldLineValues(sentFor(lines), 'forwarded')
  const own = 'for=10.0.0.2;host="h";proto=http'
  t.strictSame(forwarded(), [own])
  t.strictSame(forwarded('forwarded', 'for=1.1.1.1,\tfor=_x ;by=_y', 'forwarded', 'for="[::1]"'), [
    `for=1.1.1.1;host="h";proto=http, for=_x ;by=_y;host="h";proto=http, for="[::1]";host="h";proto=http, ${own}`,
  ])
  t.strictSame(forwarded('forwarded', 'for=1.1.1.1', 'x-forwarded-host', 'w'), [`for=1.1.1.1, ${own}`])
  t.strictSame(forwarded('forwarded', 'for=1.1.1.1', 'x-forwarded-proto', 'https, http'), [`for=1.1.1.1, ${own}`])
  t.strictSame(forwarded('forwarded', 'for=1.1.1.1 , for=2.2.2.2;proto=https'), [`for=1.1.1.1, for=2.2.2.2;proto=https, ${own}`])
  t.strictSame(forwarded('forwarded', 'for=1.1.1.1 host=w ,, x'), [`for=1.1.1.1 host=w ,, x, ${own}`], 'a field that does not parse is forwarded unchanged')
})

const address = fc.constantFrom('1.1.1.1', '6.6.6.6', '::1', '1.1.1.1:80', 'unknown')
const odd = fc.constantFrom('evil', '_x', '1.1.1.1 host=evil', '1.1.1.1, evil', '1.1.1.1,', '', '"1.1.1.1"', '1.1.1.1;host=evil')
const pairs = fc.constantFrom('for=1.1.1.1', 'for=6.6.6.6', 'For="[::1]:80"', 'by=_x', 'for=_x', 'for=evil', 'for="1.1.1.1;host=evil"', 'host=evil', 'host=h', 'host="h"',
  'proto=http', 'proto=https', 'secret=1', 'for="1.1.1.1', 'for', '', 'for=1.1.1.1 host=evil')
const element = fc.array(pairs, { minLength: 1, maxLength: 3 }).chain(parts => fc.constantFrom(';', '; ', ' ;').map(separator => parts.join(separator)))
const line = fc.oneof(
  fc.tuple(fc.constantFrom('x-forwarded-for', 'x-real-ip', 'x_real_ip', 'cf-connecting-ip'), fc.oneof({ weight: 3, arbitrary: address }, odd)),
  fc.tuple(fc.constant('forwarded'), fc.array(element, { minLength: 1, maxLength: 3 }).map(elements => elements.join(', '))),
  fc.tuple(fc.constantFrom('x-forwarded-proto', 'x-forwarded-proto', 'x_forwarded_proto'), fc.constantFrom('http', 'https', 'https, http', 'HTTP', '')),
  fc.tuple(fc.constantFrom('x-forwarded-host', 'x-forwarded-host', 'X-Forwarded-Host', 'x-host'), fc.constantFrom('h', 'evil', 'h:8443', '')),
  fc.tuple(fc.constantFrom('x-forwarded-port', 'x-forwarded-port', 'x_forwarded_port'), fc.constantFrom('80', '443', '8443', '')),
)
const said = fc.array(line, { maxLength: 4 })
// Two similar requests: the second has the lines of the first in another order, or one line more, less or changed.
const near = fc.tuple(said, line, fc.nat(4), fc.nat(4), fc.constantFrom('insert', 'remove', 'replace', 'move')).map(([lines, other, at, to, way]) => {
  const changed = [...lines]
  const place = Math.min(at, changed.length)
  if (way === 'insert') changed.splice(place, 0, other)
  else if (way === 'replace') changed.splice(place, 1, other)
  else {
    const [moved] = changed.splice(place, 1)
    if (way === 'move' && moved !== undefined) changed.splice(to, 0, moved)
  }
  return [lines.flat(), changed.flat()] as const
})

t.test('for two requests of one key, the origin receives lines that every application reads in one way', async t => {
  let same = 0
  fc.assert(fc.property(near, ([one, other]) => {
    if (keyFor(one) !== keyFor(other)) return true
    same++
    return JSON.stringify(understood(sentFor(one))) === JSON.stringify(understood(sentFor(other)))
  }), { numRuns: 20_000 })
  t.ok(same > 500, `${same} pairs had one key`)
})

t.test('the time to read Forwarded grows with its length', async t => {
  for (const text of ['a', 'for=', 'for="', 'for="\\"', 'for=1.1.1.1;', 'for=1.1.1.1,', 'for=1.1.1.1 ', '"', '\t', '=', ';,', '_', '1.', '::']) {
    for (const name of ['forwarded', 'x-forwarded-for', 'x-real-ip']) keyFor([name, text.repeat(60_000)])
  }
  t.pass('nothing hangs')
})
