// npm run test:engines: the tests that use Redis, over each server that Springhouse is meant to run with.
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpacked } from './debian.ts'

interface Engine {
  readonly name: string
  /** The beginning of its version. */
  readonly version: string
  program(cache: string): Promise<string>
}

const engines: readonly Engine[] = [
  { name: 'redis-8', version: '8.', program: (cache) => unpacked({ name: 'redis-server', program: '/usr/bin/redis-server' }, cache) },
  { name: 'valkey-8.1', version: '8.1.', program: (cache) => unpacked({ name: 'valkey-server', program: '/usr/bin/valkey-server' }, cache) },
]

interface Row {
  readonly engine: string
  readonly version: string
  readonly files: { readonly passed: number; readonly failed: readonly string[] }
  readonly assertions: { readonly passed: number; readonly failed: number }
}

const usage = `usage: npm run test:engines -- [engine or path of a server]... [--files part of a file's name]...
engines: ${engines.map(({ name }) => name).join(', ')} (all of them, unless some are named)
A server that is not there yet is fetched as a Debian package, and unpacked into a cache folder. What the environment names
in SPRINGHOUSE_TEST_REDIS, npm test uses in the same way.
`

// Compiled, this is .build/test/engines/run.js.
const built = fileURLToPath(new URL('../', import.meta.url))
const root = resolve(built, '../..')
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'springhouse', 'engines')

/** The test files of the store, and of the whole proxy over it, that start a Redis, by their imports. */
function testFiles(parts: readonly string[]): string[] {
  const redis = join(built, 'support/redis.js')
  const known = new Map<string, boolean>()
  const reaches = (file: string): boolean => {
    const before = known.get(file)
    if (before !== undefined) return before
    known.set(file, false)
    const imports = [...readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)].map(([, path = '']) => resolve(dirname(file), path))
    const found = imports.some(path => path === redis || (path.startsWith(built) && reaches(path)))
    known.set(file, found)
    return found
  }
  return ['store', 'e2e'].flatMap(folder => readdirSync(join(built, folder)).filter(name => name.endsWith('.test.js')).map(name => join(built, folder, name)))
    .filter(file => reaches(file) && (parts.length === 0 || parts.some(part => file.includes(part))))
}

function versionOf(program: string): string {
  return /v=([\w.]+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
}

/** Runs the files one after the other, and shows each failure as it happens. */
async function run(engine: string, version: string, program: string, files: readonly string[]): Promise<Row> {
  const failed: string[] = []
  let passed = 0
  const assertions = { passed: 0, failed: 0 }
  for (const file of files) {
    const name = relative(built, file).replace(/js$/, 'ts')
    const output = await tap(file, program)
    const [, pass = 0, fail = 0] = /^# \{ total: \d+, pass: (\d+)(?:, fail: (\d+))?/m.exec(output) ?? []
    assertions.passed += Number(pass)
    assertions.failed += Number(fail)
    const wrong = output.split('\n').filter(line => /^ *not ok/.test(line))
    if (/^ok 1/m.test(output) && wrong.length === 0) {
      passed++
      process.stderr.write(`${engine}: ${name}: ${pass}\n`)
    } else {
      failed.push(name)
      process.stderr.write(`${engine}: ${name}: FAILED\n${wrong.join('\n')}\n`)
    }
  }
  return { engine, version, files: { passed, failed }, assertions }
}

async function tap(file: string, program: string): Promise<string> {
  const child = spawn('npx', ['tap', '--jobs=1', '--reporter=tap', '--disable-coverage', file], {
    cwd: root,
    env: { ...process.env, SPRINGHOUSE_TEST_REDIS: program },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await new Promise(ended => child.once('close', ended))
  return output
}

function table(rows: readonly Row[]): string {
  const cells = [
    ['engine', 'version', 'files passed', 'files failed', 'assertions passed', 'failed'],
    ...rows.map(({ engine, version, files, assertions }) => [engine, version, files.passed, files.failed.length, assertions.passed, assertions.failed].map(String)),
  ]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0))) ?? []
  return cells.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

const [named, parts] = ((words: readonly string[]) => {
  const at = words.indexOf('--files')
  return at < 0 ? [words, []] : [words.slice(0, at), words.slice(at + 1)]
})(process.argv.slice(2))

if (named.some(word => word.startsWith('-'))) {
  process.stderr.write(usage)
  process.exit(2)
}
const chosen: Engine[] = named.length === 0
  ? [...engines]
  : named.map(word => engines.find(({ name }) => name === word) ?? { name: word, version: '', program: async () => resolve(word) })
const rows: Row[] = []
let missing = 0
const files = testFiles(parts)
for (const { name, version, program } of chosen) {
  try {
    const path = await program(cache)
    const found = versionOf(path)
    if (!found.startsWith(version)) throw new Error(`its version is ${found}, and not ${version}x: remove ${cache} to fetch it anew`)
    rows.push(await run(name, found, path, files))
  } catch (error) {
    missing++
    process.stderr.write(`${name} cannot be had: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}
process.stdout.write(`${table(rows)}\n`)
for (const { engine, files: { failed } } of rows) if (failed.length > 0) process.stdout.write(`${engine} failed: ${failed.join(', ')}\n`)
process.exitCode = missing > 0 || rows.some(row => row.files.failed.length > 0) ? 1 : 0
