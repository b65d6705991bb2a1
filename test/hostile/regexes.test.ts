// The work of each regular expression grows in proportion to its input. Nothing here reads a clock: a matcher counts its steps.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { expressionsOf } from './regex-sources.ts'
import { superLinear } from './regex-steps.ts'

const source = fileURLToPath(new URL('../../../src/', import.meta.url))
const built = new URL('../../src/', import.meta.url)
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const expressions = new Map(files.map((file) => [file, expressionsOf(readFileSync(`${source}${file}`, 'utf8'))]))

t.test('no regular expression in src takes more steps than in proportion to its input', async (t) => {
  let count = 0
  for (const [file, { literals }] of expressions) {
    for (const { line, expression } of literals) {
      count++
      t.equal(superLinear(expression), undefined, `${file}:${line} ${String(expression)}`)
    }
  }
  t.ok(count > 100, `${count} were found`)
})

t.test('nor does one that is put together at run time', async (t) => {
  const makers = [...expressions].filter(([, { constructed }]) => constructed > 0)
  const made = new Map<string, RegExp[]>()
  const Made = globalThis.RegExp
  globalThis.RegExp = new Proxy(Made, {
    construct(target, args: [string, string?], newTarget) {
      const expression = Reflect.construct(target, args, newTarget) as RegExp
      const caller = new Error().stack?.split('\n')[2] ?? ''
      for (const [file] of makers) if (caller.includes(`src/${file.replace(/ts$/, '')}`)) made.set(file, [...made.get(file) ?? [], expression])
      return expression
    },
  })
  t.teardown(() => {
    globalThis.RegExp = Made
  })
  for (const [file] of makers) await import(new URL(file.replace(/ts$/, 'js'), built).href)
  globalThis.RegExp = Made
  for (const [file, { constructed }] of makers) {
    t.equal(made.get(file)?.length, constructed, `${file} makes all of its own when it is loaded`)
    for (const expression of made.get(file) ?? []) t.equal(superLinear(expression), undefined, `${file} ${String(expression)}`)
  }
})

t.test('the count of steps finds work that grows faster, and nothing else', async (t) => {
  for (const bad of [/(a+)+$/, /^(?:a|a)*b/, /\s+$/, /x+y/, /^a*a*$/, /<[^>]*>/g, /[\t ]+$/, /^[\t ]+|[\t ]+$/g, /a.*b/, /(?:x\w*)+z/, /"(?:[^"\\]|\\.)*"/g, /([^=]+)=|[^]/g,
    /<!--.*?-->/s, /^(?:[ab]+,?)*$/, /^\w+\d+$/u, /(?=.*b)a/g, /\d+(?=px)/, /(a+)+=/y]) {
    t.type(superLinear(bad), 'string', String(bad))
  }
  for (const good of [/^a+$/, /^\d+$/, /a+/, /x/g, /^(?:a+,)*$/, /^[^,]*,[^,]*$/, /^"(?:[^"\\]|\\.)*"$/, /%2e/gi, /^(?:0|1(?:\.0{0,3})?)$/, /\\(.)/g, /^(\S+) (\S+)$/,
    /(?<!\$)\$\{(\w)\}/g, /^<[^>]*>/, /\bfoo\b/, /\w+=/y]) {
    t.equal(superLinear(good), undefined, String(good))
  }
})

t.test('expressions are found wherever they stand in a source, and nowhere else', async (t) => {
  const found = (text: string): string[] => expressionsOf(text).literals.map(({ line, expression }) => `${line} ${String(expression)}`)
  t.same(found('const a = /x[/]y/g.test(b) / 2\nreturn /z/\n// /no/\n/* /no/ */ const s = "/no/"\nf(/p/u, q)'), ['1 /x[/]y/g', '2 /z/', '5 /p/u'])
  t.same(found('const a = b / c / d; e = (f) / g / h; i = j[0] / k / 2'), [])
  t.same(found('const a = `no /x/ ${/yes/.source + `${/inner/}` + { b: { c: 1 } }.b} /no/`; d = /last/'), ['1 /yes/', '1 /inner/', '1 /last/'])
  t.same(found("const p = '^[^\\\\r]*$'"), ['1 /^[^\\r]*$/u'], 'a pattern of a schema')
  t.same(found('#!/usr/bin/env node\nconst a = b ? /c/ : !/d/'), ['2 /c/', '2 /d/'])
  t.equal(expressionsOf('new RegExp(`a`); new RegExp("b"); RegExp').constructed, 2)
})
