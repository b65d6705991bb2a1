// The pages that people read at night agree with the program, in both directions.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorCatalogue } from '../src/errors.ts'
import { decisionReasons, notStoredReasons, reasonMeaning } from '../src/policy/reasons.ts'

const page = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

const decisions = (): string[] => readdirSync(fileURLToPath(new URL('../../docs/decisions', import.meta.url))).map(name => `docs/decisions/${name}`)

/** The rows of a page's tables whose first cell is a name in code type: that name, and the other cells. */
function rows(text: string): Map<string, string[]> {
  const found = [...text.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)]
  return new Map(found.map(([, word = '', rest = '']) => [word, rest.split(' |').map(cell => cell.trim())]))
}

t.test('docs/reasons.md explains every reason and every error, and no others', async t => {
  const described = rows(page('docs/reasons.md'))
  t.same([...described.keys()].toSorted(), [...new Set([...decisionReasons, ...notStoredReasons, ...Object.keys(errorCatalogue)])].toSorted())
  for (const reason of [...decisionReasons, ...notStoredReasons]) t.same(described.get(reason)?.[0], reasonMeaning[reason])
  for (const [code, row] of Object.entries(errorCatalogue)) {
    const proxyError = 'proxyError' in row && row.proxyError !== undefined ? `\`${row.proxyError}\`` : ''
    t.same(described.get(code)?.slice(0, 4), [String(row.status), row.source, proxyError, row.sentence], code)
  }
})

t.test('the README and the docs link to nothing that is not there', async t => {
  for (const path of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...decisions(), 'docs/architecture.md', 'docs/coherence.md', 'docs/docker.md', 'docs/metrics.md', 'docs/reasons.md', 'docs/redis.md', 'docs/security.md', 'src/policy/README.md']) {
    for (const [, target = ''] of page(path).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      t.doesNotThrow(() => readFileSync(new URL(target, new URL(`../../${path}`, import.meta.url))), `${path} links to ${target}`)
    }
  }
})

t.test('the README and CONTRIBUTING.md name only scripts that there are', async t => {
  const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> }
  for (const [, name = ''] of `${page('README.md')}\n${page('CONTRIBUTING.md')}`.matchAll(/npm (?:run )?(start|test|demo|bench|[a-z:]+)(?= --|`|\s+#|$)/gm)) {
    if (!['ci', 'run'].includes(name)) t.ok(name in scripts, `npm run ${name}`)
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
