// The judge of a run, over invented results: it has to find differences in either direction.
import t from 'tap'
import { type Expected, failures, reasonsFor, type Results, score, surprises, type Tests } from './judge.ts'

const tests: Tests = new Map([['must', 'required'], ['must-too', 'required'], ['could', 'optimal'], ['does-it', 'check']])
const all: Results = { must: true, 'must-too': true, could: true, 'does-it': true }
const no = ['Assertion', 'Response 2 comes from cache'] as const

t.test('an expected run has no surprises', async t => {
  t.strictSame(surprises(tests, all, {}), [])
  t.strictSame(surprises(tests, { ...all, could: no }, { could: 'a choice' }), [])
})

t.test('a test that fails unexpectedly is named, with its failure', async t => {
  t.strictSame(surprises(tests, { ...all, must: no }, {}), ['must (required) does not pass, and is not expected to fail: Assertion: Response 2 comes from cache'])
  t.strictSame(surprises(tests, { ...all, could: no }, { must: 'a choice' }), [
    'could (optimal) does not pass, and is not expected to fail: Assertion: Response 2 comes from cache',
    'must is expected to fail, and passes',
  ])
})

t.test('a test that was not run has not passed', async t => {
  t.strictSame(surprises(tests, { must: true, 'must-too': true, 'does-it': true }, {}), ['could (optimal) does not pass, and is not expected to fail: it was not run'])
  t.strictSame(surprises(tests, { must: true, 'must-too': true, 'does-it': true }, { could: 'a choice' }), [])
})

t.test('a reason that no longer holds is named', async t => {
  t.strictSame(surprises(tests, all, { could: 'a choice' }), ['could is expected to fail, and passes'])
  t.strictSame(surprises(tests, all, { gone: 'a choice' }), ['gone is expected to fail, and the suite does not have it'])
})

t.test('a reason is required', async t => {
  t.strictSame(surprises(tests, { ...all, could: no }, { could: ' ' }), ['could is expected to fail, and no reason is given'])
})

t.test('a check has no right result to miss', async t => {
  t.strictSame(surprises(tests, { ...all, 'does-it': no }, {}), [])
  t.strictSame(surprises(tests, { ...all, 'does-it': no }, { 'does-it': 'a choice' }), ['does-it is expected to fail, and is a check, which has no right result to miss'])
})

t.test('the reasons of a run are those that hold everywhere, with its settings and with its store', async t => {
  const expected: Expected = {
    everywhere: { a: 'always' },
    settings: { default: { b: 'by default' }, other: { c: 'otherwise' } },
    stores: { memory: { d: 'in memory' } },
  }
  t.strictSame(reasonsFor(expected, 'default', 'memory'), { a: 'always', b: 'by default', d: 'in memory' })
  t.strictSame(reasonsFor(expected, 'other', 'redis'), { a: 'always', c: 'otherwise' })
})

t.test('the score counts each kind by itself, and the failures are listed kind by kind', async t => {
  const results: Results = { ...all, 'must-too': no, 'does-it': no }
  t.strictSame(score(tests, results), { required: { passed: 1, of: 2 }, optimal: { passed: 1, of: 1 }, check: { passed: 0, of: 1 } })
  t.strictSame(failures(tests, results), ['required must-too: Assertion: Response 2 comes from cache', 'check does-it: Assertion: Response 2 comes from cache'])
  t.strictSame(failures(tests, all), [])
})
