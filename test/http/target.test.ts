import * as fc from 'fast-check'
import { test } from 'tap'
import { compileNames } from '../../src/http/name-globs.ts'
import { removeQueryParameters, splitTarget } from '../../src/http/target.ts'
import { property, table, textOf } from './table.ts'

const ignore = (...patterns: string[]) => (target: string): string => removeQueryParameters(target, compileNames(patterns), false)
const sortedTarget = (names: readonly string[]): string => removeQueryParameters(`/?${names.map((name) => `${name}=1`).join('&')}`, undefined, true)

test('a target is split at its first question mark', async (t) => {
  table(t, [
    ['valid', '/a', { path: '/a', query: undefined }],
    ['valid', '/a?', { path: '/a', query: '' }],
    ['valid', '/a?b=c?d', { path: '/a', query: 'b=c?d' }],
    ['valid', '*', { path: '*', query: undefined }],
  ], splitTarget)
})

test('parameters that match a pattern are left out, and the rest keeps its bytes', async (t) => {
  table(t, [
    ['valid', '/a?utm_source=x&b=1', '/a?b=1'],
    ['valid', '/a?b=1&utm_source=x&c=%7e&utm_', '/a?b=1&c=%7e'],
    ['valid', '/a?utm_source=x', '/a'],
    ['valid', '/a?fbclid=1&fbclid&fbclid2=3', '/a?fbclid2=3'],
    ['valid', '/a?fb_ref=1&_ref&ref', '/a?ref'],
    ['valid', '/a?b&&c=d=e&', '/a?b&&c=d=e&'],
    ['valid', '/a?', '/a?'],
    ['valid', '/utm_x', '/utm_x'],
    ['valid', '/a?x=utm_y', '/a?x=utm_y'],
    ['hostile', '/a?UTM_x=1&utm%5fx=1', '/a?UTM_x=1&utm%5fx=1'],
    ['hostile', '/a?b=1;utm_x=2', '/a?b=1;utm_x=2'],
    ['hostile', '/a?b=1?utm_x=2', '/a?b=1?utm_x=2'],
  ], ignore('utm_*', 'fbclid', '*_ref'))
  t.equal(ignore('*')('/a?b=1&c'), '/a')
  t.equal(ignore('*')('/a?'), '/a')
})

test('parameters are sorted by name if configured, duplicates in their order', async (t) => {
  table(t, [
    ['valid', '/a?c=1&a=2&b=3', '/a?a=2&b=3&c=1'],
    ['valid', '/a?b=2&a&b=1', '/a?a&b=2&b=1'],
    ['valid', '/a?a=2&a=1', '/a?a=2&a=1'],
    ['valid', '/a?b&a-b=1&a=2', '/a?a=2&a-b=1&b'],
    ['valid', '/a?b&utm_x&a', '/a?a&b'],
    ['valid', '/a', '/a'],
  ], (target) => removeQueryParameters(target, compileNames(['utm_*']), true))
})

test('properties of the query', async (t) => {
  const text = textOf('/', '?', '&', '=', 'a', 'b', 'utm_', '%61', 'é')
  property(t, 'without patterns and sorting nothing changes', text, (target) => removeQueryParameters(target, undefined, false) === target)
  property(t, 'doing it twice changes nothing more', fc.tuple(text, fc.boolean()), ([target, sort]) => {
    const once = removeQueryParameters(target, compileNames(['utm_*', 'b']), sort)
    return removeQueryParameters(once, compileNames(['utm_*', 'b']), sort) === once
  })
  property(t, 'two orders of the same distinct names make one key', fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'a-b', 'ab', '')), (names) => {
    return sortedTarget(names) === sortedTarget(names.toReversed())
  })
  property(t, 'parting loses no byte', text, (target) => {
    const { path, query } = splitTarget(target)
    return (query === undefined ? path : `${path}?${query}`) === target
  })
})
