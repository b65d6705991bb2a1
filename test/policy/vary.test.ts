// The fields that select among the responses of a URL: RFC 9111 §4.1.
import t from 'tap'
import { knownFields, knowsFieldsOf, selectingFields } from '../../src/policy/vary.ts'
import { stored } from './scene.ts'

const minute = { 'Cache-Control': 'max-age=60' }
const none = (): undefined => undefined

t.test('the known fields are what the Vary of stored responses names, in order and once', async t => {
  t.same(knownFields([], none), [])
  t.same(knownFields([stored(minute)], none), [])
  t.same(knownFields([stored({ ...minute, Vary: 'Origin, accept' }), stored(minute), stored({ ...minute, Vary: ['Accept', 'X-A'] })], none), ['accept', 'origin', 'x-a'])
})

t.test('a name that a response took over is none that it names', async t => {
  const { meta } = stored({ ...minute, Vary: 'Accept' })
  const heir = { meta: { ...meta, vary: [...meta.vary, ['origin', null]] as const } }
  t.same(knownFields([heir], none), ['accept'])
  t.equal(knowsFieldsOf(meta.vary, heir.meta), true)
  t.equal(knowsFieldsOf([], heir.meta), false)
})

t.test('a response takes over at most 256 names, and one that would take over more is never stored', async t => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `x-${i}`)
  t.equal(selectingFields([], none, names(256)).length, 256)
  t.equal(selectingFields([], none, names(257)), '*')
  t.equal(selectingFields(['vary', names(300).join(',')], none, names(300)).length, 300, 'its own names do not count')
})
