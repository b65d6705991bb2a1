// Every configuration on a page is one that `check` accepts, without a notice. docs/moving.md has a test of its own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { configurationNotices } from '../../src/cli/configuration-notices.ts'
import { loadConfig } from '../../src/config/load.ts'
import { configNode } from '../../src/config/node.ts'
import { newPrivateKey } from '../../src/session/jws.ts'
import { namesCertificate, namesKey } from '../support/certificate.ts'
import { blocksOf, page, pages } from './blocks.ts'

const settings = new Set(Object.keys(configNode.properties ?? {}))

t.test('every configuration is one that check accepts', async t => {
  const folder = t.testdir({ 'token': 'a-third-token-of-some-length', 'session-key.pem': newPrivateKey(), 'cert.pem': namesCertificate, 'key.pem': namesKey })
  const env = { PURGE_TOKEN: 'a-token-of-some-length', OPERATOR_TOKEN: 'another-token-of-some-length' }
  let checked = 0
  for (const path of pages()) {
    if (path === 'docs/moving.md') continue
    for (const { language, text, line } of blocksOf(page(path))) {
      if (language !== 'yaml') continue
      const given = parse(text) as Record<string, unknown> | null
      // Files of compose and Kubernetes are checked elsewhere.
      if (given === null || Array.isArray(given) || !Object.keys(given).every(name => settings.has(name))) continue
      const file = join(folder, `${checked++}.yaml`)
      writeFileSync(file, completed(given, folder))
      t.doesNotThrow(() => t.same(configurationNotices(loadConfig({ file, env }), Date.now()), []), `${path}:${line}`)
    }
  }
  t.ok(checked >= 15, `${checked} configurations`)
})

/** A page shows only the part that it is about: origins that the routes name, and sessions that they need, are added; files are those of this test. */
function completed(given: Readonly<Record<string, unknown>>, folder: string): string {
  const routes = (given['routes'] ?? []) as readonly { origin: string; identity?: unknown }[]
  const sessions = given['sessions'] ?? (routes.some(({ identity }) => identity !== undefined) && given['auth'] === undefined ? { enabled: true } : undefined)
  const origins = given['origins'] ?? Object.fromEntries(['api', ...routes.map(({ origin }) => origin)].map(name => [name, { servers: ['http://127.0.0.1:9'] }]))
  const files: readonly (readonly [setting: RegExp, file: string])[] = [[/(\btokenFile: )\S+/g, 'token'], [/(\bkeyFile: )\S+/g, 'session-key.pem'], [/(\b(?:cert|ca): )\/\S+/g,
    'cert.pem'], [/(\bkey: )\/\S+/g, 'key.pem']]
  const text = stringify({ ...given, origins, ...(sessions !== undefined && { sessions }) })
  return files.reduce((changed, [setting, file]) => changed.replaceAll(setting, `$1${folder}/${file}`), text)
}
