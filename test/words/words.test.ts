// The check of wordings finds each kind that it is made for, at its line, and nothing in code.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findingsIn, type Allowed } from './findings.ts'
import { proseOf } from './prose.ts'
import { folderOf, report, survey } from './survey.ts'
import { tokensOf } from './tokens.ts'

const found = (file: string, source: string, allowed: readonly Allowed[] = []): string[] =>
  proseOf(file, source).flatMap(prose => findingsIn(prose, allowed)).map(finding => `${finding.line} ${finding.kind} ${finding.found}`)

t.test('an opening is found in every form of comment', async t => {
  for (const word of ['Of', 'What', 'Who', 'Whether', 'Those', 'One']) {
    t.same(found('src/a.ts', `const a = 1\n// ${word} x is y.\n`), [`2 opening ${word}`])
    t.same(found('src/a.ts', `const a = 1 // ${word.toLowerCase()} x is y\n`), [`1 opening ${word.toLowerCase()}`])
    t.same(found('src/a.ts', `/** ${word} x is y. */\nconst a = 1\n`), [`1 opening ${word}`])
    t.same(found('src/a.ts', `/**\n * A thing.\n * @param name ${word.toLowerCase()} x is y\n */\n`), [`3 opening ${word.toLowerCase()}`])
    t.same(found('src/a.ts', `/**\n * A thing that is\n * long. ${word} x is y.\n */\n`), [`3 opening ${word}`])
    t.same(found('src/a.ts', `/** A thing:\n * - ${word.toLowerCase()} x is y\n */\n`), [`2 opening ${word.toLowerCase()}`])
  }
})

t.test('an opening starts a sentence; elsewhere the same text is none', async t => {
  t.same(found('src/a.ts', '// A list of those that ask what,\n// of\n// one key.\n'), ['1 word ask'])
  t.same(found('src/a.ts', '// Something.\n// Of this it is said.\n'), ['2 opening Of'])
  t.same(found('test/a.test.ts', "t.test('one request goes to the origin', f)\nt.test('one that is late', f)\n"), ['2 opening one that'])
})

t.test('each avoided term is found in its forms, across line breaks too', async t => {
  for (const word of ['answer', 'answers', 'answered', 'unanswered', 'asked', 'asks', 'told', 'heard', 'unheard', 'word', 'under way', 'cut', 'cuts', 'gone', 'patience', 'look',
    'looks']) {
    t.same(found('src/a.ts', `/** A thing with ${word} here. */\n`), [`1 word ${word}`])
    t.same(found('src/a.ts', `throw new Error('a thing with ${word} here')\n`), [`1 word ${word}`])
    t.same(found('test/a.test.ts', `t.test('a thing with ${word} here', async t => {})\n`), [`1 word ${word}`])
    t.same(found('docs/a.md', `# A page\n\nA thing with ${word} here.\n`), [`3 word ${word}`])
  }
  t.same(found('src/a.ts', '// The fetch is under\n// way.\n'), ['1 word under way'])
  t.same(found('src/a.ts', '// Looks up the lookup, looks in the store, and is cut off with 410 Gone; a shortcut.\n'), [])
})

t.test('a pronoun of persons is found where a program is meant', async t => {
  t.same(found('src/a.ts', '// The client who waits, whoever leads, and one of them.\n'), ['1 who who', '1 who whoever', '1 who one of them'])
  t.same(found('src/a.ts', '// The operator who reads this, and people who do not.\n'), [])
})

t.test('code is no prose', async t => {
  t.same(found('src/a.ts', [
    "const cut = 'answer' + asked // fine",
    'const regex = /\\/\\/ What/ // fine',
    "const text = 'no // What comment'",
    'const made = `a ${told("asked", `who ${heard}`)} b`',
    '// `answer` and {@link asked} are code, https://example.com/answer is an address',
    '/** @param gone called at the end */',
  ].join('\n')), [])
  t.same(found('test/a.test.ts', "t.equal(response.body, 'an answer that was cut', 'what was asked')\n"), [])
  t.same(found('docs/a.md', '```\nAn answer that was cut\n```\n\n[A page](answer.md) with `asked`.\n'), [])
})

t.test('comments of Lua scripts are read, and their code is not', async t => {
  t.same(found('src/a.ts', 'const script = `\nlocal told = answer - word\n-- What was asked for.\nreturn cut -- gone\n`\n'), ['3 opening What', '3 word asked', '4 word gone'])
})

t.test('messages between substitutions are read', async t => {
  t.same(found('src/a.ts', 'log(`the answer of ${name} was cut: ${error}`)\n'), ['1 word answer', '1 word cut'])
  t.same(found('src/a.ts', 'log(`${count} of the replicas`)\nlog(`what the ${name} sends`)\n'), ['2 opening what'])
})

t.test('a name of a test is read in all its pieces', async t => {
  t.same(found('test/a.test.ts', 't.test(`over ${list.map(x => `gone ${x}`)}: it is told\\n`, f(`asked ${x} cut`))\n'), ['1 word told'])
  t.same(found('test/a.ts', "promise('what is told', f)\nt.test.skip('it is cut', f)\n"), ['1 opening what', '1 word told', '2 word cut'])
})

t.test('headings and tables of a page have no openings', async t => {
  t.same(found('docs/a.md', '# What is promised\n\n| what | who |\n|---|---|\n\n- What comes.\n\nWho reads this?\n'), ['3 who who', '6 opening What', '8 opening Who'])
})

t.test('comments of the example configuration are read', async t => {
  t.same(found('config/a.yaml', 'a: 1\nb:\n  # What the origin says.\n  c: answer\n'), ['3 opening What'])
})

t.test('an allowed text covers what stands in it, and nothing else', async t => {
  const allowed: Allowed[] = [{ text: 'the answer to life', reason: 'a quotation' }, { text: 'cut here', file: 'src/b.ts', reason: 'another file' }]
  const used = new Set<Allowed>()
  const source = '// It is the answer\n// to life, and an answer: cut here.\n'
  const findings = proseOf('src/a.ts', source).flatMap(prose => findingsIn(prose, allowed, used))
  t.same(findings.map(({ line, found: text }) => `${line} ${text}`), ['2 answer', '2 cut'])
  t.same([...used].map(({ text }) => text), ['the answer to life'])
})

// The guard: node_modules is left out in survey(). Without it lint fails once the conformance suite is installed.
t.test('a folder above its ceiling and an entry without use are faults', async t => {
  const root = t.testdir({ 'README.md': 'Fine.\n', 'CONTRIBUTING.md': 'Fine.\n', 'SECURITY.md': 'Fine.\n' })
  for (const [file, source] of Object.entries({
    'src/http/a.ts': '// What was asked.\n',
    'src/top.ts': '// Fine.\n',
    'test/a.test.ts': "t.test('an answer', f)\n",
    'docs/a.md': 'Fine.\n',
    'bench/a.ts': '// Fine.\n',
    'examples/a.mjs': '// Fine.\n',
    'tools/a.mjs': '// Who waits.\n',
    'test/conformance/node_modules/a/README.md': 'What was asked.\n',
    'config/springhouse.yaml': '# Fine.\n',
  })) {
    mkdirSync(join(root, file, '..'), { recursive: true })
    writeFileSync(join(root, file), source)
  }
  const unused = { text: 'no such text', reason: 'none' }
  const surveyed = survey(root, [unused])
  t.same(surveyed.findings.map(({ file, line, found: text }) => `${file}:${line} ${text}`), ['src/http/a.ts:1 What', 'src/http/a.ts:1 asked', 'test/a.test.ts:1 answer',
    'tools/a.mjs:1 Who'])
  t.same(report(surveyed, { 'src/http': 2, test: 1, tools: 1 }).faults, ['the entry "no such text" accepts nothing: remove it'])
  const { faults } = report(surveyed, { 'src/http': 1, 'src/none': 3, test: 9, tools: 1 })
  t.match(faults[0], /^src\/http: 2 wordings to mend, at most 1 /)
  t.match(faults.slice(1), ['src/none has a ceiling, but no file', /no such text/])
  t.match(report(surveyed, { test: 1, tools: 1 }).faults, [/^src\/http: 2/, /src\/http\/a\.ts:1 \[What\]/, /src\/http\/a\.ts:1 \[asked\]/, /no such text/])
})

t.test('a file belongs to its room', async t => {
  t.same(['src/store/redis/lane.ts', 'src/app.ts', 'test/docs.test.ts', 'docs/redis.md', 'README.md'].map(folderOf), ['src/store', 'src', 'test', 'docs', 'README.md'])
})

t.test('a source is read as its tokens', async t => {
  const kinds = (source: string): string[] => tokensOf(source).map(({ kind, text }) => `${kind}: ${text}`)
  t.same(kinds('a / b / c'), ['word: a', 'punctuation: /', 'word: b', 'punctuation: /', 'word: c'])
  t.same(kinds('return /[/"]\\//g.x'), ['word: return', 'regex: /[/"]\\//g', 'punctuation: .', 'word: x'])
  t.same(kinds("'it\\'s' /* a */ // b"), ["string: it\\'s", 'block-comment:  a ', 'line-comment:  b'])
  t.same(kinds('`a${ { b: `c` } }d`'), ['template: a', 'punctuation: {', 'word: b', 'punctuation: :', 'template: c', 'punctuation: }', 'template: d'])
})
