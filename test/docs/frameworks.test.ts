// docs/caching-your-api.md: its fields are stored, served and purged, and its examples are sound where their language is there.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { startProxy } from '../support/proxy.ts'
import { blocksOf, page, type Block } from './blocks.ts'

const blocks = blocksOf(page('docs/caching-your-api.md'))

t.test('the fields that each example sends are stored, served and purged by each of their tags', async t => {
  const sent = blocks.find(({ language }) => language === 'http')
  const fields = (sent as Block).text.trim().split('\n').map(line => line.split(/: /)).map(([name = '', value = '']) => [name, value] as const)
  const house = await startProxy(t, { origin: (_request, response) => response.writeHead(200, Object.fromEntries(fields)).end('{}') })
  const status = async () => (await house.get('/products/7')).header('cache-status')
  for (const tag of ['products', 'product-7']) {
    t.match(await status(), /fwd=uri-miss; fwd-status=200; stored/)
    t.match(await status(), /hit; .*detail=fresh/)
    t.equal((await house.purge({ tags: [tag] })).status, 200)
  }
  t.match(await status(), /fwd=uri-miss/)
})

/** Programs that check the syntax of a text on their standard input. commands.test.ts checks JavaScript. */
const checkers: Readonly<Record<string, readonly [program: string, ...args: string[]]>> = {
  python: ['python3', '-c', 'import ast, sys; ast.parse(sys.stdin.read())'],
  php: ['php', '-l'],
  ruby: ['ruby', '-c'],
}

t.test('the examples are sound', async t => {
  const found = blocks.filter(({ language }) => ['js', 'python', 'php', 'ruby', 'java'].includes(language))
  t.same(found.map(({ language }) => language).toSorted(), ['java', 'js', 'js', 'php', 'python', 'ruby'])
  for (const { language, text, line } of found) {
    const checker = checkers[language]
    if (checker === undefined || spawnSync(checker[0], ['--version']).status !== 0) continue
    const [program, ...args] = checker
    const { status, stderr } = spawnSync(program, args, { input: language === 'php' ? `<?php\n${text}` : text, encoding: 'utf8' })
    t.equal(status, 0, `line ${line}: ${stderr}`)
  }
  // Each example sets both fields.
  for (const { text, line } of found) t.match(text, /Cache-Tag[^]*products, product-/, `line ${line}`)
})
