import * as fc from 'fast-check'
import { test } from 'tap'
import { normaliseSelecting } from '../../src/http/negotiation.ts'
import { property, table, textOf } from './table.ts'

const as = (name: string) => (value: string): string => normaliseSelecting(name, value)

test('Accept-Language and Accept-Encoding compare equal when they prefer the same', async (t) => {
  table(t, [
    ['valid', 'en', 'en'],
    ['valid', 'EN-gb , en;q=0.8', 'en-gb,en;q=0.8'],
    ['valid', 'de, en', 'de,en'],
    ['valid', 'en, de', 'de,en'],
    ['valid', 'en;q=0.5, de;q=0.50, fr ; Q=0.9', 'fr;q=0.9,de;q=0.5,en;q=0.5'],
    ['valid', 'en;q=1.000, de;q=1', 'de,en'],
    ['valid', '*;q=0, en;q=0.001', 'en;q=0.001,*;q=0'],
    ['valid', ',en,,', 'en'],
    ['valid', '', ''],
    ['malformed', 'en;q=2 ,  de', 'en;q=2, de'],
    ['malformed', 'en;q=0.1234', 'en;q=0.1234'],
    ['malformed', 'en;q=', 'en;q='],
    ['malformed', 'en;level=1', 'en;level=1'],
    ['malformed', ' De fr ,EN ', 'De fr, EN'],
    ['malformed', '"en"', '"en"'],
    ['hostile', '\u00a0fr', '\u00a0fr'],
    ['hostile', 'en\u00a0,\u00a0fr', 'en\u00a0, \u00a0fr'],
  ], as('accept-language'))
  table(t, [
    ['valid', 'gzip, deflate, br', 'br,deflate,gzip'],
    ['valid', 'br,GZIP , deflate', 'br,deflate,gzip'],
    ['valid', 'gzip;q=0.5, identity;q=0', 'gzip;q=0.5,identity;q=0'],
  ], as('accept-encoding'))
})

test('Accept keeps the order of equals and the case of parameter values', async (t) => {
  table(t, [
    ['valid', 'text/html, application/json;q=0.9, */*;q=0.8', 'text/html,application/json;q=0.9,*/*;q=0.8'],
    ['valid', '*/*;q=0.8,Text/HTML', 'text/html,*/*;q=0.8'],
    ['valid', 'text/html, application/json', 'text/html,application/json'],
    ['valid', 'application/json, text/html', 'application/json,text/html'],
    ['valid', 'text/html;Level="A,;b" ; q=0.5; X=Y;', 'text/html;level="A,;b";x=Y;q=0.5'],
    ['valid', 'text/*;q=1', 'text/*'],
    ['malformed', 'html', 'html'],
    ['malformed', 'text/html;q="0.5"', 'text/html;q="0.5"'],
    ['malformed', 'text/html;q=1;q=0.5', 'text/html;q=1;q=0.5'],
    ['malformed', 'text/html;level', 'text/html;level'],
    ['malformed', 'text/html;a="b', 'text/html;a="b'],
    ['malformed', 'text / html', 'text / html'],
  ], as('accept'))
})

test('in any other field only the white space around commas changes', async (t) => {
  table(t, [
    ['valid', '1,2', '1, 2'],
    ['valid', ' 1, 2 ', '1, 2'],
    ['valid', '1 \t,\t 2', '1, 2'],
    ['valid', 'A  b', 'A  b'],
    ['valid', '\tA ', 'A'],
    ['valid', '"a , b" , c', '"a , b", c'],
    ['valid', '"a\\" , b" , c', '"a\\" , b", c'],
    ['valid', 'a,,b,', 'a, , b,'],
    ['malformed', '"a , b', '"a , b'],
    ['hostile', 'a,\u00a0', 'a, \u00a0'],
  ], as('foo'))
})

test('a value gets the same form however many others came between', async (t) => {
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 400; i++) {
      const normal = normaliseSelecting('accept-language', `B${i}, a`)
      if (normal !== `a,b${i}`) t.fail(`round ${round}, value ${i}: ${normal}`)
    }
  }
  const long = Array.from({ length: 100 }, (_, i) => `l${i + 100}`)
  t.equal(normaliseSelecting('accept-language', long.toReversed().join(', ')), long.join(','))
})

test('properties of the normal form', async (t) => {
  const names = fc.constantFrom('accept', 'accept-language', 'accept-encoding', 'foo')
  const text = textOf('en', 'GZIP', 'text/html', '*', ';', 'q=', '0.5', '1', ',', ' ', '\t', '"', '\\', '=', 'a', '\u00a0')
  property(t, 'normalising never throws, and what is normal stays as it is', fc.tuple(names, text), ([name, value]) => {
    const normal = normaliseSelecting(name, value)
    return normaliseSelecting(name, normal) === normal
  })
  const members = fc.uniqueArray(fc.constantFrom('en', 'de;q=0.5', 'fr;q=0.50', 'it', '*;q=0.1', 'pt-br;q=0.5'))
  property(t, 'the order of languages does not matter', members, (list) => {
    const normal = normaliseSelecting('accept-language', list.join(', '))
    return normal === normaliseSelecting('accept-language', list.toReversed().join(','))
  })
})
