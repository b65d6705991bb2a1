// The house: a folder of src imports only from those to its left, and nobody but the clock reads the time.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// The tests run compiled, from .build/test; the sources are what is read.
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const source = join(root, 'src')

// From left to right. proxy and admin stand side by side: neither imports the other.
const layers = ['http', 'policy', 'forwarding', 'store', 'origin', 'exchange', 'session', 'proxy', 'admin', 'app', 'cli'] as const
const besideEachOther = new Set(['proxy admin', 'admin proxy'])
const forAll = new Set(['clock', 'errors', 'redis-address'])
// Config types are for all; what loads a configuration is for the composition root alone.
const configTypes = new Set([join('config', 'schema.ts')])
const mayLoadConfig = new Set(['config', 'app', 'cli'])

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => join(entry.parentPath, entry.name))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s)?[^'"\n;]*?(?:from\s+)?'(\.[^']+)'|import\('(\.[^']+)'\)/g)].map(match => ({
    from: relative(source, file),
    to: relative(source, normalize(join(dirname(file), (match[2] ?? match[3]) as string))),
    typeOnly: match[1] !== undefined,
  }))
}

// What the composition root is made of, beside app.ts itself.
const partsOfApp = new Set(['drain', 'error-summary', 'log', 'storage', 'tls'])

/** The room that a file of src belongs to: its folder, or the file's own name at the top. */
function roomOf(file: string): string {
  const [first = ''] = file.split(sep)
  const name = first.replace(/\.ts$/, '')
  return partsOfApp.has(name) ? 'app' : name
}

function fault({ from, to, typeOnly }: Import): string | undefined {
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)]
  if (fromRoom === toRoom || forAll.has(toRoom)) return undefined
  if (toRoom === 'config') {
    if (mayLoadConfig.has(fromRoom)) return undefined
    return typeOnly && configTypes.has(to) ? undefined : `${from} imports ${to}: only config types are for all`
  }
  if (forAll.has(fromRoom) || fromRoom === 'config') return `${from} imports ${to}: it may import nothing of the house`
  const [left, right] = [layers.indexOf(toRoom as never), layers.indexOf(fromRoom as never)]
  if (left < 0 || right < 0) return `${from} imports ${to}: ${left < 0 ? toRoom : fromRoom} is not a room of the house`
  if (left > right || besideEachOther.has(`${fromRoom} ${toRoom}`)) return `${from} imports ${to}: ${toRoom} is to the right of ${fromRoom}`
  return undefined
}

const files = sourceFiles(source)

t.test('a folder imports only from those to its left', async t => {
  const imports = files.flatMap(importsOf)
  t.ok(imports.length > 50, `reads ${imports.length} imports`)
  t.same(imports.map(fault).filter(found => found !== undefined), [])
})

t.test('the check itself sees an arrow that points the wrong way', async t => {
  const wrong = (from: string, to: string, typeOnly = false): boolean => fault({ from, to, typeOnly }) !== undefined
  t.equal(wrong('http/fields.ts', 'policy/vary.ts'), true)
  t.equal(wrong('policy/vary.ts', 'http/fields.ts'), false)
  t.equal(wrong('proxy/proxy.ts', 'admin/admin.ts'), true)
  t.equal(wrong('exchange/handle.ts', 'config/load.ts'), true)
  t.equal(wrong('exchange/routing/routes.ts', 'config/schema.ts', true), false)
  t.equal(wrong('clock.ts', 'http/fields.ts'), true)
})

t.test('nothing but the clock reads the time', async t => {
  const readers = files.filter(file => /\bDate\.now\(|\bperformance\.now\(|\bnew Date\(\)|\bprocess\.hrtime\b/.test(readFileSync(file, 'utf8'))).map(file => relative(source, file))
  t.same(readers.filter(file => file !== 'clock.ts' && !file.startsWith(join('cli', 'demo'))), [])
})

t.test('http, policy and forwarding do no I/O', async t => {
  const pure = files.filter(file => ['http', 'policy', 'forwarding'].includes(roomOf(relative(source, file))))
  const impure = pure.filter(file => /from 'node:(?!crypto'|net')|from 'undici'|from 'ioredis'|from 'fastify'/.test(readFileSync(file, 'utf8')))
  t.same(impure.map(file => relative(source, file)), [])
})

t.test('every file opens with one line that says what it is', async t => {
  const silent = files.filter(file => !/^(#!.*\n)?\/\/ \S/.test(readFileSync(file, 'utf8')))
  t.same(silent.map(file => relative(source, file)), [])
})

t.test('nothing is called a helper', async t => {
  t.same(files.map(file => relative(source, file)).filter(file => /util|helper|misc|common/i.test(file)), [])
})
