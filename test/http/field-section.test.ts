// The lines of a received field section are settled in one way for every transport, store and client protocol.
import * as fc from 'fast-check'
import { test } from 'tap'
import { fieldLineValues } from '../../src/http/fields.ts'
import { isSettled, settleHead, settleSection, singleLineFields } from '../../src/http/field-section.ts'
import { anyText } from '../support/any-text.ts'
import { property } from './table.ts'

const now = Date.UTC(2026, 0, 1)
const earlier = 'Tue, 14 Nov 2023 22:13:20 GMT'
const later = 'Tue, 14 Nov 2023 22:13:21 GMT'

/** The result for several lines of one field in a 200. A string is the reason why the response is refused. */
function staying(name: string, ...values: string[]): readonly string[] | string {
  const { fields, fault } = settleHead(200, values.flatMap((value) => [name, value]), now)
  return fault ?? fieldLineValues(fields ?? [], name)
}

test('several lines of a field that has one value', async (t) => {
  const rows: readonly (readonly [name: string, values: readonly string[], stays: readonly string[] | 'refused'])[] = [
    ['etag', ['"a"', '"a"'], ['"a"']],
    ['etag', ['"a"', '"b"'], []],
    ['etag', ['"a"', 'W/"a"'], []],
    ['last-modified', [earlier, later], []],
    ['content-type', ['text/html', 'text/html '], ['text/html']],
    ['content-type', ['text/html', 'text/plain'], 'refused'],
    ['content-type', ['', 'text/plain'], 'refused'],
    ['location', ['/a', '/b'], 'refused'],
    ['content-range', ['bytes 0-1/2', 'bytes 1-2/3'], 'refused'],
    ['content-disposition', ['attachment', 'inline'], 'refused'],
    ['content-length', ['1', '2'], 'refused'],
    ['sec-websocket-accept', ['a', 'b'], 'refused'],
    ['age', ['10', '20', '5'], ['10']],
    ['age', ['x', '11, 12', '13'], ['11']],
    ['age', ['x', 'y'], []],
    ['age', ['9'.repeat(400), '1'], ['2147483648']],
    ['date', [later, earlier], [earlier]],
    ['date', ['x', later], [later]],
    ['date', ['x', 'y'], []],
    ['expires', [later, earlier], [earlier]],
    ['expires', [later, '0', earlier], ['0']],
    ['x-content-type-options', ['x', 'NoSniff'], ['nosniff']],
    ['x-content-type-options', ['x', 'y'], []],
    ['content-encoding', ['gzip', 'br'], ['gzip, br']],
    ['content-language', ['de', '', 'en'], ['de, en']],
    ['content-location', ['/a', '/b'], []],
    ['content-location', ['/a', '/a'], []],
    ['retry-after', ['1', '2'], []],
    ['access-control-allow-credentials', ['true', 'false'], []],
    ['access-control-max-age', ['1', '600'], []],
  ]
  for (const [name, values, stays] of rows) {
    const got = staying(name, ...values)
    if (stays === 'refused') t.type(got, 'string', `${name}: ${values.join(' | ')}`)
    else t.strictSame(got, stays, `${name}: ${values.join(' | ')}`)
  }
})

test('lists keep their lines, in their order and place', async (t) => {
  const lines = ['cache-control', 'max-age=60', 'set-cookie', 'a=b', 'vary', 'a', 'set-cookie', 'c=d', 'cache-control', 'private', 'x-own', '1', 'x-own', '1']
  t.equal(settleHead(200, lines, now).fields, lines)
  t.strictSame(settleHead(200, ['a', '1', 'etag', '"x"', 'b', '2', 'etag', '"x"', 'c', ' 3\t'], now).fields, ['a', '1', 'etag', '"x"', 'b', '2', 'c', '3'])
})

test('if a validator has two values, no validator is kept and a 304 is refused', async (t) => {
  const lines = ['etag', '"a"', 'etag', '"b"', 'last-modified', earlier, 'x', '1']
  t.strictSame(settleHead(200, lines, now).fields, ['x', '1'])
  t.type(settleHead(304, lines, now).fault, 'string')
  t.strictSame(settleSection(lines, now), ['x', '1'])
})

test('an invalid field refuses a head, and is left out of trailers and interim responses', async (t) => {
  for (const [name, value] of [[':status', '200'], ['x y', '1'], ['', '1'], ['X', '1'], ['x\r\ny', '1'], ['x', 'a\0b'], ['x', 'a\nb'], ['x', 'a\rb'], ['x', 'a\x7fb'], ['x',
    'a\u0100'], ['caf\xe9', '1']] as const) {
    t.type(settleHead(200, [name, value], now).fault, 'string', JSON.stringify([name, value]))
    t.strictSame(settleSection(['ok', '1', name, value], now), ['ok', '1'])
  }
  t.strictSame(settleSection(['location', '/a', 'location', '/b', 'ok', '1'], now), ['ok', '1'])
  t.equal(isSettled(['x', 'caf\xe9\t1', '__proto__', '1', 'constructor', '', "!#$%&'*+-.^_`|~", '1']), true)
})

const name = fc.oneof(fc.constantFrom(...singleLineFields, 'set-cookie', 'x-own', '__proto__', ':status', 'X'), fc.string({ maxLength: 5 }))
const value = fc.oneof(fc.constantFrom('', ' ', '1', '2', '"a"', earlier, later, 'nosniff', 'a\r\nb: c'), anyText({ maxLength: 10 }))
const section = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((lines) => lines.flat())

test('properties of settling', async (t) => {
  property(t, 'whatever comes, what stays can be sent, and settles to itself', fc.tuple(section, fc.constantFrom(200, 304, 206)), ([lines, status]) => {
    const rest = settleSection(lines, now)
    const { fields = [] } = settleHead(status, lines, now)
    return isSettled(rest) && isSettled(fields) && settleSection(rest, now) === rest
  })
  property(t, 'no field is made up', section, (lines) => {
    const names = new Set(lines.filter((_, i) => i % 2 === 0))
    return settleSection(lines, now).every((text, i) => i % 2 === 1 || names.has(text))
  })
})
