// The package as npm would publish it: packed, installed into an empty folder, and run there by npx.
import { execFile, spawn, type ExecFileException } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { endWithUs } from '../support/children.ts'

t.setTimeout(360_000)

// Compiled, this is .build/test/package/packed.test.js.
const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'springhouse-packed-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

// npm passes its own settings to the scripts that it runs, this test among them: a nested npm must not read them.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^SPRINGHOUSE_/i.test(name)))

function run(program: string, args: readonly string[], cwd: string): Promise<Ran> {
  return new Promise(resolve => {
    const child = execFile(program, args, { cwd, env, encoding: 'utf8' }, (error: ExecFileException | null, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
    endWithUs(child)
  })
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
}

/** Lays out what `npm install` of the archive would, from the packages that are installed here: no registry is needed. */
function install(archive: string): void {
  const packages = join(folder, 'node_modules')
  mkdirSync(join(packages, '.bin'), { recursive: true })
  cpSync(archive, join(packages, 'springhouse'), { recursive: true })
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean; optional?: boolean }> }
  for (const [place, { dev }] of Object.entries(lock.packages)) {
    // The top packages that the program needs; nested packages are copied with them.
    if (!/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(place) || dev === true || !existsSync(join(root, place))) continue
    mkdirSync(join(folder, place, '..'), { recursive: true })
    cpSync(join(root, place), join(folder, place), { recursive: true })
  }
  symlinkSync('../springhouse/bin/springhouse.mjs', join(packages, '.bin/springhouse'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
}

t.test('the archive holds the program, its settings and its docs, and nothing of the workshop', async test => {
  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], root)
  test.equal(packed.code, 0, packed.stderr)
  const [{ filename, files } = { filename: '', files: [] }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as { filename: string; files: { path: string }[] }[]
  const paths = files.map(({ path }) => path)
  for (const path of ['bin/springhouse.mjs', 'dist/cli/main.js', 'config/springhouse.schema.json', 'config/reference.md', 'LICENSE', 'README.md', 'CHANGELOG.md']) {
    test.ok(paths.includes(path), path)
  }
  test.same(paths.filter(path => /^(?:src|test|bench|tools|\.)|\.map$|\.tsbuildinfo$|\.stamp$/.test(path)), [])
  test.equal((await run('tar', ['xzf', filename], folder)).code, 0)
  install(join(folder, 'package'))
})

t.test('the program starts with its dependencies alone', async test => {
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'node_modules/springhouse/package.json'), 'utf8')) as Manifest
  test.notOk('typebox' in dependencies)
  test.equal(existsSync(join(folder, 'node_modules/typescript')), false)
  const help = await run('npx', ['springhouse', '--help'], folder)
  test.equal(help.code, 0, help.stderr)
  test.match(help.stdout, /^Usage: springhouse /)
})

t.test('npx springhouse check reads a configuration, and finds what is wrong with one', async test => {
  writeFileSync(join(folder, 'good.yaml'), 'origins: { api: { servers: [ http://127.0.0.1:9 ] } }\n')
  writeFileSync(join(folder, 'bad.yaml'), 'origins: { api: { servers: [ http://127.0.0.1:9 ], retrys: 1 } }\n')
  const good = await run('npx', ['springhouse', 'check', '--config', 'good.yaml'], folder)
  test.equal(good.code, 0, good.stderr)
  const bad = await run('npx', ['springhouse', 'check', '--config', 'bad.yaml'], folder)
  test.equal(bad.code, 1)
  test.match(bad.stderr, /origins\.api\.retrys/)
})

t.test('npx springhouse demo serves, and stops at Ctrl-C', async test => {
  const demo = spawn('npx', ['springhouse', 'demo'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  endWithUs(demo, { group: true })
  let printed = ''
  await new Promise<void>((resolve, reject) => {
    demo.once('exit', code => reject(new Error(`ended with ${code}: ${printed}`)))
    demo.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
      if (printed.includes('Ctrl-C stops everything.')) resolve()
    })
  })
  const url = /^ {2}proxy +(\S+)/m.exec(printed)?.[1] ?? ''
  const [response] = await once(get(`${url}/items`), 'response') as [{ statusCode: number; resume(): void }]
  response.resume()
  test.equal(response.statusCode, 200)
  // As a terminal does it: to the whole group.
  const ended = once(demo, 'exit')
  process.kill(-(demo.pid as number), 'SIGINT')
  await ended
  test.match(printed, /stopping/)
})
