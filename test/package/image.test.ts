// The entry point of the image, without Docker: which admin token is in force, and an image without a configuration.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { endWithUs } from '../support/children.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** A folder like /app in the image, with the program that the tests have compiled. */
function app(t: Test): string {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'docker'))
  cpSync(join(root, 'docker/entrypoint.sh'), join(folder, 'docker/entrypoint.sh'))
  symlinkSync(fileURLToPath(new URL('../../src', import.meta.url)), join(folder, 'dist'))
  return folder
}

function run(folder: string, args: readonly string[], env: Record<string, string>): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', 'sh', join(folder, 'docker/entrypoint.sh'), ...args], {
    env: { PATH: process.env.PATH, OWN_TOKEN_FILE: join(folder, 'token'), ...env },
  })
  endWithUs(child)
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += String(chunk)
  })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }))
  })
}

// Each start fails, because its port is out of range: only what comes before matters.
const start = ['serve', '--origin', 'http://127.0.0.1:9', '--port', '99999']

test('a token is made at each start, printed with its line for .env, and kept in a file for the commands', async (t) => {
  const folder = app(t)
  const own = { SPRINGHOUSE_ADMIN_TOKEN_FILE: join(folder, 'token') }
  const made = await run(folder, start, own)
  const [, token] = /^admin token in force, made for this start: ([0-9a-f]{48})$/m.exec(made.out) ?? []
  t.match(made.out, new RegExp(`put this line into \\.env: SPRINGHOUSE_ADMIN_TOKEN=${token}$`, 'm'))
  t.equal(readFileSync(join(folder, 'token'), 'utf8').trim(), token)
  t.equal(statSync(join(folder, 'token')).mode & 0o777, 0o600)
  t.match(made.err, /proxy\.port: expected a whole number/)
  t.notMatch((await run(folder, start, own)).out, new RegExp(token as string))

  const given = await run(folder, start, { ...own, ADMIN_TOKEN: 'a-token-that-was-given' })
  t.match(given.out, /^admin token in force: the one that SPRINGHOUSE_ADMIN_TOKEN gives/)
  t.notMatch(given.out + given.err, /a-token-that-was-given/)
  t.equal(readFileSync(join(folder, 'token'), 'utf8').trim(), 'a-token-that-was-given')

  const mounted = await run(folder, start, { SPRINGHOUSE_ADMIN_TOKEN_FILE: '/run/secrets/none' })
  t.match(mounted.out, /^admin token in force: the one in \/run\/secrets\/none$/m)
  t.equal((await run(folder, ['--version'], own)).out, `${(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version}\n`)
})

test('without a configuration it says what to mount', async (t) => {
  const folder = app(t)
  const standard = ['serve', '--config', '/app/config/springhouse.yaml']
  const none = await run(folder, standard, {})
  t.equal(none.code, 1)
  t.match(none.err, /^springhouse: there is no configuration\.[^]*:\/app\/config:ro[^]*serve --origin[^]*SPRINGHOUSE_ORIGINS/)
  const environment = await run(folder, standard, { SPRINGHOUSE_ORIGINS: '{ api: { servers: [ http://127.0.0.1:9 ] } }', SPRINGHOUSE_PROXY_PORT: '99999' })
  t.match(environment.err, /^springhouse: config: proxy\.port: expected/, 'the environment is a configuration')
  t.match((await run(folder, ['serve', '--config', '/none.yaml'], {})).err, /^springhouse: config: cannot read \/none\.yaml: there is no such file/)
})

test('the image runs the entry point, and has the command on its PATH', async (t) => {
  const file = readFileSync(join(root, 'Dockerfile'), 'utf8')
  t.match(file, /^ENTRYPOINT \["\/app\/docker\/entrypoint\.sh"\]$/m)
  t.match(file, /ln -s \/app\/bin\/springhouse\.mjs \/usr\/local\/bin\/springhouse/)
  t.ok(statSync(join(root, 'docker/entrypoint.sh')).mode & 0o100, 'executable')
})
