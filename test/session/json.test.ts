// JSON of backends: strict, verbatim, and merged by RFC 7396.
import fc from 'fast-check'
import t from 'tap'
import { changed, changesOf, dataBytes, dataText, mergePatch, outgrows } from '../../src/session/data.ts'
import { JsonFault, jsonText, parseJson, parseJsonBytes, type JsonObject } from '../../src/session/json.ts'

const parse = (text: string): ReturnType<typeof parseJson> => parseJson(text, 64)

t.test('text comes back verbatim, without white space', async t => {
  for (const text of ['{"n":9007199254740993,"e":1e400,"z":-0.0,"a":[],"o":{},"u":"\\u0041ë"}', '[1,[{"a":[]}],"x , [ y"]', 'null', '"\\\\"',
    '{"__proto__":{"a":1},"constructor":2}'])
    t.equal(jsonText(parse(text)), text)
  t.equal(jsonText(parse(' { "a" : [ 1 , 2 ] , "b" : { } } ')), '{"a":[1,2],"b":{}}')
})

t.test('text that parsers read in different ways is refused', async t => {
  for (const text of ['', '{', '{"a":1,}', '{"a":1 "b":2}', '[1,]', '[1', '01', '1.', '+1', 'tru', 'NaN', '{a:1}', "{'a':1}", '"\t"', '"\\x"', '1 2', '{"a":1,"a":2}',
    '[{"a":1,"\\u0061":2}]', '"\\ud800"', '{"\\udc00":1}', '\ufeff{}', '/**/{}']) t.throws(() => parse(text), JsonFault, text)
  t.throws(() => parseJsonBytes(Buffer.from([0x22, 0xff, 0x22]), 8), JsonFault)
  t.throws(() => parseJsonBytes(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 8), JsonFault, 'a surrogate in UTF-8')
  t.throws(() => parseJson('['.repeat(100_000), 8), JsonFault)
  t.throws(() => parseJson('{"a":'.repeat(9) + '1' + '}'.repeat(9), 8), JsonFault)
  t.doesNotThrow(() => parseJson('{"a":'.repeat(8) + '1' + '}'.repeat(8), 8))
})

t.test('the examples of RFC 7396, appendix A', async t => {
  const examples: [string, string, string | undefined][] = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', 'null', undefined],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ]
  for (const [target, patch, result] of examples) {
    const merged = mergePatch(parse(target), parse(patch))
    t.equal(merged === undefined ? undefined : jsonText(merged), result, `${target} with ${patch}`)
  }
})

// The algorithm of RFC 7396 §2 over values of JavaScript, as a reader would write it.
function reference(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result = new Map(Object.entries(typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {}))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name)
    else result.set(name, reference(result.get(name), value))
  }
  return Object.fromEntries(result)
}

const documents = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'é', '0', '__proto__', '"'), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })

t.test('random documents merge member by member as they merge whole', async () => {
  fc.assert(fc.property(documents, documents, (target, patch) => {
    const current = new Map([...(parse(JSON.stringify(reference({}, target))) as JsonObject).members].map(([name, value]) => [name, jsonText(value)]))
    const result = changed(current, changesOf(parse(JSON.stringify(patch)) as JsonObject, current))
    const whole = mergePatch(parse(dataText(current)), parse(JSON.stringify(patch)))
    if (whole === undefined || dataText(result) !== jsonText(whole)) return false
    return JSON.stringify(sorted(JSON.parse(dataText(result)))) === JSON.stringify(sorted(JSON.parse(JSON.stringify(reference(reference({}, target), patch)))))
  }), { numRuns: 2000 })
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  return typeof value === 'object' && value !== null ? Object.entries(value).map(([name, member]) => [name, sorted(member)]).sort() : value
}

t.test('data is bounded in bytes and members, and what is beyond a bound may shrink', async t => {
  const bounds = { maxBytes: 100 }
  t.equal(outgrows({ bytes: 90, members: 1 }, { bytes: 101, members: 1 }, bounds), true)
  t.equal(outgrows({ bytes: 200, members: 1 }, { bytes: 190, members: 1 }, bounds), false)
  t.equal(outgrows({ bytes: 10, members: 64 }, { bytes: 10, members: 65 }, bounds), true)
  t.equal(outgrows({ bytes: 10, members: 70 }, { bytes: 10, members: 69 }, bounds), false)
  const members = new Map([['a', '1'], ['ë', '"x"']])
  t.equal(dataBytes(members), Buffer.byteLength(dataText(members)) + 1, 'a comma after each member')
})
