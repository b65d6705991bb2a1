// RFC 9110 §12.5.3: the content codings that a request accepts.
import t from 'tap'
import { acceptsCodings, contentCodings } from '../../src/http/content-codings.ts'

t.test('the codings of a response', async t => {
  t.same(contentCodings('gzip'), ['gzip'])
  t.same(contentCodings(' X-GZip ,br,, identity'), ['gzip', 'br'])
  t.same(contentCodings('x-compress'), ['compress'])
  t.same(contentCodings('identity'), [])
})

t.test('a coding is accepted if it is listed, or else if * is, with a weight above 0', async t => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['gzip', 'gzip', true],
    ['GZIP', 'gzip', true],
    ['x-gzip', 'gzip', true],
    ['gzip', 'x-gzip', true],
    ['br, gzip;q=0.5', 'gzip', true],
    ['gzip;q=0.001', 'gzip', true],
    ['gzip ; q=1.000', 'gzip', true],
    ['*', 'gzip', true],
    ['*;q=0.1', 'gzip', true],
    ['*;q=0, gzip', 'gzip', true],
    ['', 'gzip', false],
    ['identity', 'gzip', false],
    ['identity;q=0.5', 'gzip', false],
    ['br', 'gzip', false],
    ['gzip;q=0', 'gzip', false],
    ['gzip;q=0.000', 'gzip', false],
    ['GZIP;Q=0', 'gzip', false],
    ['gzip; q=0.', 'gzip', false],
    ['*;q=0', 'gzip', false],
    ['gzip;q=0, *', 'gzip', false],
    ['identity;q=1, *;q=0', 'gzip', false],
    ['gzip;q=0, gzip', 'gzip', false],
    ['gzip, x-gzip;q=0', 'gzip', false],
    ['gzip', 'gzip, br', false],
    ['gzip, br', 'gzip, br', true],
    ['gzip', 'identity', true],
    ['identity;q=0', 'identity', true],
    // A coding that is not registered is a mistake of the origin, and excluded only by name.
    ['gzip', 'utf-8', true],
    ['', 'none', true],
    ['none;q=0', 'none', false],
    ['gzip, *;q=0', 'none', false],
    ['identity', 'none, gzip', false],
    // A weight that cannot be read counts as 0: then the origin decides.
    ['gzip;q=2', 'gzip', false],
    ['gzip;q=-1', 'gzip', false],
    ['gzip;level=9', 'gzip', false],
    ['gzip;q="1"', 'gzip', false],
  ]
  for (const [accept, codings, accepted] of cases) t.equal(acceptsCodings(accept, codings), accepted, `${accept} / ${codings}`)
})

t.test('many values are read, and few of them kept', async t => {
  for (let i = 0; i < 1000; i++) if (acceptsCodings(`a${i}`, 'gzip')) t.fail(String(i))
  t.equal(acceptsCodings(`${'b,'.repeat(1000)}gzip`, 'gzip'), true)
})
