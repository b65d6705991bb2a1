// The instruction of a backend: every member, every wrong one, and both of its forms.
import t from 'tap'
import { InstructionFault, parseInstruction, type Change } from '../../src/session/instruction.ts'
import { jsonText } from '../../src/session/json.ts'

const nothing: Change = { kind: 'change', data: undefined, login: undefined, rotate: false, ifVersion: undefined, retry: false }
const asBytes = (text: string): string => Buffer.from(text).toString('latin1')
const asBase64 = (text: string): string => `:${Buffer.from(text).toString('base64')}:`

t.test('every member, in both forms', async t => {
  t.same(parseInstruction(['{}']), nothing)
  t.same(parseInstruction(['{"logout":true}']), { kind: 'logout', which: 'this' })
  t.same(parseInstruction(['{"logout":"others"}']), { kind: 'logout', which: 'others' })
  t.same(parseInstruction(['{"logout":"everywhere"}']), { kind: 'logout', which: 'everywhere' })
  t.same(parseInstruction(['{"if":3,"retry":true,"rotate":true}']), { ...nothing, ifVersion: 3, retry: true, rotate: true })
  const login = { user: 'zoë €', remember: true, fresh: true, label: 'phone', transport: 'token' }
  const text = '{"login":"zoë €","remember":true,"fresh":true,"label":"phone","transport":"token"}'
  for (const line of [asBytes(text), asBase64(text), asBase64(text).replaceAll('=', '')]) t.same(parseInstruction([line]), { ...nothing, login })
  const { data } = parseInstruction([asBytes('{"data":{"n":9007199254740993,"a":null,"o":{}}}')]) as Change
  t.equal(data && jsonText(data), '{"n":9007199254740993,"a":null,"o":{}}')
})

t.test('anything else is a fault', async t => {
  const wrong = ['', 'null', '[]', '"x"', '{"x":1}', '{"data":[]}', '{"data":null}', '{"data":1}', '{"login":""}', '{"login":1}', '{"login":null}', '{"login":"a\\nb"}',
    `{"login":"${'a'.repeat(257)}"}`, '{"remember":true}', '{"label":"x"}', '{"login":"u","label":1}', `{"login":"u","label":"${'a'.repeat(65)}"}`,
    '{"login":"u","transport":"carrier pigeon"}', '{"login":"u","remember":1}', '{"logout":false}', '{"logout":"all"}', '{"logout":true,"data":{}}', '{"if":-1}', '{"if":1.5}',
    '{"if":"1"}', '{"if":1e3}', '{"if":9007199254740993}', '{"retry":true}', '{"rotate":"yes"}', '{"data":{},"data":{}}', '{"data":{"a":1,"a":2}}', '{"data":{"a":"\\ud800"}}',
    `{"data":${'{"a":'.repeat(8)}1${'}'.repeat(8)}}`.replace('{"a":', '{"a":{"b":').replace(/\}$/, '}}'), ':not base64:', ':e30=', '{} x', '\u00ff']
  for (const line of wrong) t.throws(() => parseInstruction([line]), InstructionFault, line)
  t.throws(() => parseInstruction(['{}', '{}']), InstructionFault, 'two lines')
  t.throws(() => parseInstruction([asBytes('{"login":"zoë"}').replace('\u00c3', '')]), InstructionFault, 'Latin-1')
})

t.test('eight levels, and no more', async t => {
  const nested = (levels: number): string => `{"data":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`
  t.doesNotThrow(() => parseInstruction([nested(8)]))
  t.throws(() => parseInstruction([nested(9)]), InstructionFault)
  t.throws(() => parseInstruction([nested(5000)]), InstructionFault)
})
