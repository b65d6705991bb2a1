// A fuzz target for each parser of src/http: it returns for any input, and does not throw. linear.test.ts checks the time it
// takes.
import { fileURLToPath } from 'node:url'
import { readdirSync } from 'node:fs'
import t from 'tap'
import { normaliseAuthority, absoluteForm, purgeHost } from '../../src/http/authority.ts'
import { parseRequestDirectives, parseResponseDirectives } from '../../src/http/cache-control.ts'
import { parseHttpDate } from '../../src/http/date.ts'
import { qualifiedNames, scanDirectives } from '../../src/http/directives.ts'
import { matchesList, strongMatch } from '../../src/http/etag.ts'
import { connectionNamed, fieldLines, fieldValue, listMembers } from '../../src/http/fields.ts'
import { sendableLinks } from '../../src/http/links.ts'
import { cdnLoopPasses, viaPasses } from '../../src/forwarding/loop.ts'
import { isEventStream, isGrpc } from '../../src/http/media-type.ts'
import { compileNames } from '../../src/http/name-globs.ts'
import { acceptsCodings, contentCodings } from '../../src/http/content-codings.ts'
import { normaliseSelecting } from '../../src/http/negotiation.ts'
import { evenlyEncoded, normalPath, normalPrefix, normalTarget } from '../../src/http/normal-target.ts'
import { pathKind, plainestForms } from '../../src/http/path-readings.ts'
import { parseRange } from '../../src/http/range.ts'
import { isFieldName, isFieldValue, settleHead, settleSection } from '../../src/http/field-section.ts'
import { groupInvalidations, isPossibleTag, responseTags, tagFault } from '../../src/http/tags.ts'
import { defaultTags } from '../policy/scene.ts'
import { removeQueryParameters, splitTarget } from '../../src/http/target.ts'
import { isOnlyMalformed, isPartlyWellFormed, surrogateDirectives, targetedDirectives } from '../../src/http/targeted.ts'
import { withoutOuterSpace } from '../../src/http/white-space.ts'
import { randomFrom } from './mutate.ts'

const now = 1_700_000_000_000

// A parser of request fields that only forwarding needs.
const elsewhere = 'loop.ts'

/** By the file that they hold. */
const targets: Readonly<Record<string, readonly ((value: string) => unknown)[]>> = {
  'authority.ts': [value => normaliseAuthority(value, 'http'), value => normaliseAuthority(value, 'https'), absoluteForm, purgeHost],
  'cache-control.ts': [parseResponseDirectives, value => parseRequestDirectives(value, undefined), value => parseRequestDirectives(undefined, value)],
  'date.ts': [value => parseHttpDate(value, now)],
  'directives.ts': [qualifiedNames, value => scanDirectives(value, [], () => undefined)],
  'etag.ts': [value => matchesList(value, '"a"', 'weak'), value => matchesList('"a", W/"b"', value, 'strong'), value => strongMatch(value, value)],
  'fields.ts': [listMembers, value => connectionNamed(['connection', value]), value => fieldLines([value, value]), value => fieldValue([value, value, value, value], value)],
  'links.ts': [sendableLinks],
  'loop.ts': [value => viaPasses(value, 'springhouse'), value => cdnLoopPasses(value, 'springhouse')],
  'media-type.ts': [value => isEventStream(['content-type', value]), value => isGrpc(['content-type', value])],
  'name-globs.ts': [compileNames(['utm_*', '*_ref', 'a*a*a*b', '*']), value => compileNames([value])('a')],
  'content-codings.ts': [contentCodings, value => acceptsCodings(value, 'gzip'), value => acceptsCodings('gzip, *;q=0.5', value)],
  'negotiation.ts': ['accept', 'accept-encoding', 'accept-language', 'x'].map(name => (value: string) => normaliseSelecting(name, value)),
  'normal-target.ts': [normalTarget, normalPath, normalPrefix, evenlyEncoded],
  'path-readings.ts': [pathKind, value => plainestForms(value, true), value => plainestForms(value, false)],
  'range.ts': [value => parseRange(value, 1_000, 16), value => parseRange(value, 0, 16)],
  'field-section.ts': [
    ...['age', 'date', 'expires', 'etag', 'content-encoding', 'content-type', 'x-content-type-options'].map(name => (value: string) =>
      settleHead(200, [name, value, name, 'x', ...value.split(',').flatMap(part => [name, part])], now)
    ),
    value => settleSection([value, value, value, value], now),
    isFieldName,
    isFieldValue,
  ],
  'tags.ts': [...defaultTags.fields.map(({ name }) => name).map(name => (value: string) => responseTags([name, value], defaultTags.fields)),
    value => groupInvalidations(['cache-group-invalidation', value]), isPossibleTag, tagFault],
  'target.ts': [splitTarget, value => removeQueryParameters(value, compileNames(['utm_*', '*_ref', 'a']), true)],
  'targeted.ts': [surrogateDirectives, isPartlyWellFormed, value => isOnlyMalformed(['cdn-cache-control', value], 'cdn-cache-control'),
    value => targetedDirectives(['cdn-cache-control', value], 'cdn-cache-control')],
  'white-space.ts': [value => withoutOuterSpace(value)],
}

const words = [
  'max-age=60',
  'max-age="60"',
  'private',
  'private="a, b"',
  'no-cache="',
  'no-store',
  's-maxage=',
  'public',
  '\\"',
  '"',
  ',',
  ';',
  '=',
  ' ',
  '\t',
  'text/event-stream',
  'application/grpc-web+proto',
  'W/"a"',
  '"a"',
  '*',
  'bytes=',
  '0-',
  '-1',
  '0-0',
  '99999999999999999999',
  '-',
  '18446744073709551616',
  'Sun, 06 Nov 1994 08:49:37 GMT',
  'Sunday, 06-Nov-94 08:49:37 GMT',
  'Sun Nov  6 08:49:37 1994',
  '00:60:61',
  'gzip',
  'gzip;q=0.5',
  ';q=1.0001',
  'text/html;level=1',
  '*/*',
  'en-GB',
  ':?0',
  '("a" b)',
  '?1',
  ':YWJj:',
  '1.5',
  '@1',
  '%"a"',
  'h:80',
  '[::1]',
  'http://',
  '/a/../b',
  '?a=b&c',
  '&',
  '#',
  '%00',
  '__proto__',
  'constructor',
  '\0',
  '\x7f',
  '\xff',
  '\ud800',
  '\u{1f600}',
  '\r\n',
  'é',
]

/** Returns pieces, bytes and repetitions, in any order. */
function anything(random: () => number): string {
  let text = ''
  for (let parts = Math.floor(random() * 12); parts >= 0; parts--) {
    const way = random()
    const word = words[Math.floor(random() * words.length)] as string
    if (way < 0.6) text += word
    else if (way < 0.8) text += String.fromCharCode(Math.floor(random() * 256))
    else if (way < 0.9) text += word.repeat(Math.floor(random() * 50))
    else text = text.slice(Math.floor(random() * text.length)) + text
    if (text.length > 20_000) return text.slice(0, 20_000)
  }
  return text
}

t.test('there is a target for every file of src/http', async t => {
  const files = readdirSync(fileURLToPath(new URL('../../src/http/', import.meta.url))).filter(name => name.endsWith('.js')).map(name => name.replace(/js$/, 'ts'))
  t.same(files.toSorted(), Object.keys(targets).filter(name => name !== elsewhere).toSorted())
})

t.test('none throws, and each says the same of the same', async t => {
  for (const [file, parsers] of Object.entries(targets)) {
    const random = randomFrom(1)
    let wrong: string | undefined
    for (let i = 0; i < 4_000 && wrong === undefined; i++) {
      const value = anything(random)
      for (const parse of parsers) {
        try {
          if (JSON.stringify(parse(value)) !== JSON.stringify(parse(value))) wrong = `two results for ${JSON.stringify(value)}`
        } catch (error) {
          wrong = `${String(error)} for ${JSON.stringify(value)}`
        }
      }
    }
    t.equal(wrong, undefined, file)
  }
})
