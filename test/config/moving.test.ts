// docs/moving.md: `springhouse check` accepts each of its examples, without a line, and each setting in its tables exists.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { configNode, memberSchema, type SchemaNode } from '../../src/config/node.ts'
import { run } from '../cli/command.ts'
import { namesCertificate, namesKey, testCertificate, testKey } from '../support/certificate.ts'

const page = readFileSync(new URL('../../../docs/moving.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text as string)

t.test('springhouse check accepts each example', async t => {
  const folder = t.testdir({ 'shop.pem': namesCertificate, 'shop.key': namesKey, 'blog.pem': testCertificate, 'blog.key': testKey })
  t.ok(examples.length >= 3, `${examples.length} examples`)
  for (const [index, text] of examples.entries()) {
    const file = join(folder, `${index}.yaml`)
    writeFileSync(file, text.replaceAll('/etc/tls/', `${folder}/`))
    t.strictSame(await run(t, ['check', '--config', file]), { code: 0, stdout: 'config ok\n', stderr: '' }, text)
  }
})

/** Returns every name of a setting, with and without its sections: `port` and `proxy.port`. */
function names(node: SchemaNode, path: string): string[] {
  const members = node.properties ?? memberSchema(node)?.properties ?? node.items?.properties ?? {}
  return Object.entries(members).flatMap(([name, member]) => {
    const whole = path === '' ? name : `${path}.${name}`
    const parts = whole.split('.')
    return [...parts.map((_, from) => parts.slice(from).join('.')), ...names(member, whole)]
  })
}

t.test('each setting that the tables name exists', async t => {
  const known = new Set(names(configNode, ''))
  const cells = page.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('|---')).map(line => line.split(/(?<!\|) \| /).at(-1) ?? '')
  const settings = cells.flatMap(cell => [...cell.matchAll(/`([a-zA-Z.<>]+)(?::[^`]*)?`/g)].map(([, name]) => (name as string).replace(/^origins\.<name>\./, 'origins.')))
  t.ok(settings.length > 60, `${settings.length} settings`)
  const values = new Set(['round-robin', 'least-pending', 'client', 'origin', 'weight', 'http', 'caddy'])
  for (const name of settings) if (!values.has(name)) t.ok(known.has(name), name)
  t.same(examples.map(text => Object.keys(parse(text, { merge: true }) as object)[0]), ['proxy', 'proxy', 'proxy'])
})
