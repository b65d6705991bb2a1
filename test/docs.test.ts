// The pages that people read at night say what the program says, in both directions.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorCatalogue } from '../src/errors.ts'
import { explainReason, writtenText } from '../src/policy/explain-reason.ts'
import { filled, placesOf } from '../src/policy/reason-text.ts'
import { decisionReasons, notStoredReasons } from '../src/policy/reasons.ts'

const page = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

/** True for a path below the root or below src. */
const exists = (path: string): boolean => ['', 'src/'].some(folder => existsSync(fileURLToPath(new URL(`../../${folder}${path}`, import.meta.url))))

/** The rows of a page's tables whose first cell is a term in code type: the term, and the other cells. */
function rows(text: string): Map<string, string[]> {
  const found = [...text.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)]
  return new Map(found.map(([, word = '', rest = '']) => [word, rest.split(' |').map(cell => cell.trim())]))
}

t.test('docs/reasons.md explains every reason and every error, as npm run generate writes it', async t => {
  const { reasonsPage } = await import(new URL('../../tools/reasons-page.mjs', import.meta.url).href) as { reasonsPage(program: object): string }
  t.equal(page('docs/reasons.md'), reasonsPage({ decisionReasons, notStoredReasons, explainReason, errorCatalogue }))
  const described = rows(page('docs/reasons.md'))
  t.same([...described.keys()].toSorted(), [...new Set([...decisionReasons, ...notStoredReasons, ...Object.keys(errorCatalogue)])].toSorted())
})

t.test('each reason has a section, a meaning and advice, which read well without facts and with them', async t => {
  for (const reason of new Set([...decisionReasons, ...notStoredReasons])) {
    t.match(reason, /^[a-z0-9-]+$/)
    const { section, meaning, advice } = explainReason(reason)
    t.match(section, /^(?:RFC \d{4}(?: §[\d.]+)?|configuration [\w., :]+)$/, reason)
    for (const [name, text] of Object.entries({ meaning, advice })) {
      t.match(text, /^[A-Z][^<>]*\.$/, `${reason}: ${name}`)
      t.notMatch(text, / {2}| [.,:]|\{\w+\}/, `${reason}: ${name}`)
      // Wording rule 4, for each sentence.
      for (const sentence of text.split(/(?<=[.:;]) /)) t.ok(sentence.split(' ').length <= 25, `${reason}: ${sentence}`)
    }
    const written = writtenText(reason).meaning
    const facts = Object.fromEntries(placesOf(written).map(name => [name, `<{ttl}$& of ${name}>`]))
    t.same(placesOf(written).filter(name => !filled(written, facts).includes(`<{ttl}$& of ${name}>`)), [], `${reason}: values are shown as they are`)
    t.notMatch(filled(written, Object.fromEntries(placesOf(written).map(name => [name, 'X']))), /[<>{}]| {2}| [.,:)]/, reason)
  }
})

t.test('the glossary has each term once, in the order of the alphabet, and names files that there are', async t => {
  const terms = [...page('docs/glossary.md').matchAll(/^\| (?!term |---)([^|]+?) \|/gm)].map(([, term = '']) => term)
  t.ok(terms.length > 50)
  t.same(terms, [...new Set(terms)].toSorted())
  for (const [, file = ''] of page('docs/glossary.md').matchAll(/`((?:[\w-]+\/)+(?:[\w-]+\.(?:ts|md))?)`/g)) t.ok(exists(file), file)
})

t.test('the README and CONTRIBUTING.md name only scripts that there are', async t => {
  const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> }
  for (const [, name = ''] of `${page('README.md')}\n${page('CONTRIBUTING.md')}`.matchAll(/npm (?:run )?(start|test|demo|bench|[a-z:]+)(?= --|`|\s+#|$)/gm)) {
    if (!['ci', 'run'].includes(name)) t.ok(name in scripts, `npm run ${name}`)
  }
})

t.test('docs/incidents.md has three lines for each kind, with tests that there are, and names every story', async t => {
  const text = page('docs/incidents.md')
  const kinds = text.split(/^## /m).slice(1)
  t.same(kinds.map(kind => kind[0]), [...'ABCDEFGHIJ'])
  for (const kind of kinds) {
    const [title = '', ...lines] = kind.split('\n').filter(line => line !== '')
    t.match(title, /^[A-J]\. \S/)
    t.same(lines.map(line => /^- ([A-Z][\w ]+): \S/.exec(line)?.[1]), ['Wrong', 'Here', 'Held by'], title)
    const tests = [...(lines[2] ?? '').matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = '']) => path)
    t.ok(tests.length > 0, title)
    for (const path of tests) t.match(page(path), /\btest\(/, path)
  }
  for (const name of readdirSync(fileURLToPath(new URL('../../test/stories', import.meta.url)))) {
    if (name.endsWith('.test.ts')) t.ok(text.includes(`](../test/stories/${name})`), `names ${name}`)
  }
})

t.test('docs/security.md names a test that there is for each of its promises', async t => {
  const promises = [...page('docs/security.md').matchAll(/^\| (\d+) \|.*\|(.*)\|$/gm)]
  t.same(promises.map(([, number]) => Number(number)), Array.from({ length: promises.length }, (_, i) => i + 1))
  t.ok(promises.length >= 20)
  for (const [, number, held = ''] of promises) {
    const tests = [...held.matchAll(/\]\(\.\.\/(test\/[^)]+\.test\.ts)\)/g)].map(([, path = '']) => path)
    t.ok(tests.length > 0, `promise ${number}`)
    for (const path of tests) t.match(page(path), /\btest\(/, path)
  }
})
