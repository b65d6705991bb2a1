// The scores in a README: written between the markers, and compared with others.
import t from 'tap'
import { hasScores, places, scoreTable, withScores } from './readme.ts'

const { begin, end } = places.packaged
const table = (passed: number, revision = 'suite 1'): string =>
  scoreTable(revision, [{
    settings: 'default',
    store: 'memory',
    score: { required: { passed, of: 160 }, optimal: { passed: 91, of: 105 }, check: { passed: 66, of: 100 } },
  }])
const readme = `# A\n\n${begin}\n${end}\n\nB\n`

t.test('the table has the revision, and a row for each run', async t => {
  t.equal(table(158), `suite 1:

| settings | store | required | optimal |
| --- | --- | ---: | ---: |
| default | memory | 158 of 160 | 91 of 105 |`)
})

t.test('it is written between the markers, and nothing else is touched', async t => {
  t.equal(withScores(readme, table(158)), `# A\n\n${begin}\n\n${table(158)}\n\n${end}\n\nB\n`)
})

t.test('written scores are recognised, and another score, another revision or none is not', async t => {
  const written = withScores(readme, table(158))
  t.ok(hasScores(written, table(158)))
  t.notOk(hasScores(written, table(157)))
  t.notOk(hasScores(written, table(158, 'suite 2')))
  t.notOk(hasScores(readme, table(158)))
  t.equal(withScores(written, table(159)), withScores(readme, table(159)), 'and it is replaced, not added to')
})

t.test('a README without the markers, or with a marker twice, is refused', async t => {
  for (const bad of ['# A', `${begin}\n`, `${end}\n`, `${end}\n${begin}\n`, `${readme}${begin}\n`, `${readme}${end}\n`]) {
    t.throws(() => withScores(bad, table(158)), { message: /^README.md needs these two lines/ }, JSON.stringify(bad))
  }
})

t.test('the table of a newer revision stands between lines of its own', async t => {
  const { begin: from, end: to } = places.checkout
  const both = `${readme}${from}\n${to}\n`
  const written = withScores(both, table(160, 'suite 2'), places.checkout)
  t.equal(written, `${readme}${from}\n\n${table(160, 'suite 2')}\n\n${to}\n`)
  t.notOk(hasScores(written, table(160, 'suite 2')), 'the packaged suite is compared with its own table')
  t.throws(() => withScores(readme, table(160), places.checkout), { message: /^README.md needs these two lines/ })
})
