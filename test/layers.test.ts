// The layers: a folder of src imports only from those to its left, and the clock alone reads the time.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// The tests run compiled, from .build/test, and read the sources.
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const source = join(root, 'src')

// From left to right. proxy and admin stand side by side: neither imports the other.
const layers = ['http', 'policy', 'forwarding', 'store', 'origin', 'exchange', 'session', 'observe', 'proxy', 'admin', 'app', 'cli'] as const
const besideEachOther = new Set(['proxy admin', 'admin proxy'])
const forAll = new Set(['clock', 'errors', 'json-schema', 'nearest-name', 'redis-address', 'server-address'])
// Config types are for all; the functions that load a configuration are for the composition root alone.
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

// The parts of the composition root, beside app.ts itself.
const partsOfApp = new Set(['descriptors', 'drain', 'error-summary', 'log', 'storage', 'tls', 'watched-files'])

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

// Within a room, from left to right. A file directly in the room belongs to the part named '', or to its own.
const partsOf: Readonly<Record<string, readonly string[]>> = {
  origin: ['', 'transport', 'pool', 'request', 'origins'],
  exchange: ['routing', 'routed-request', 'client', 'counters', 'held-events', 'lookup', 'stale-fallback', 'coalesce', 'deliver', 'fill', 'background-fetch', 'refresh',
    'continuation', 'pass', 'explain', 'handle', 'cache'],
}

function partOf(file: string, parts: readonly string[]): string {
  const [, part = ''] = file.split(sep)
  const name = part.replace(/\.ts$/, '')
  return parts.includes(name) ? name : part.endsWith('.ts') && parts.includes('') ? '' : part
}

/** Why an import within a room points the wrong way; undefined if it does not. */
function innerFault({ from, to }: Import): string | undefined {
  const room = roomOf(from)
  const parts = partsOf[room]
  if (parts === undefined || roomOf(to) !== room) return undefined
  const [fromPart, toPart] = [partOf(from, parts), partOf(to, parts)]
  if (!parts.includes(fromPart) || !parts.includes(toPart)) return `${from} imports ${to}: ${parts.includes(fromPart) ? toPart : fromPart} is not a part of ${room}`
  return parts.indexOf(toPart) > parts.indexOf(fromPart) ? `${from} imports ${to}: ${toPart} is to the right of ${fromPart}` : undefined
}

/** The sets of files that import each other in a circle: the strongly connected components with more than one file (Tarjan). */
function circles(imports: readonly Import[]): string[][] {
  const graph = new Map<string, string[]>()
  for (const { from, to } of imports) {
    graph.set(from, [...graph.get(from) ?? [], to])
    if (!graph.has(to)) graph.set(to, [])
  }
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const found: string[][] = []
  const visit = (file: string): void => {
    order.set(file, order.size)
    lowest.set(file, order.get(file) as number)
    open.push(file)
    for (const next of graph.get(file) as string[]) {
      if (!order.has(next)) visit(next)
      if (open.includes(next)) lowest.set(file, Math.min(lowest.get(file) as number, lowest.get(next) as number))
    }
    if (lowest.get(file) === order.get(file)) {
      const component = open.splice(open.indexOf(file))
      if (component.length > 1) found.push(component.toSorted())
    }
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file)
  return found
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

t.test('within origin and exchange a part imports only from those to its left', async t => {
  t.same(files.flatMap(importsOf).map(innerFault).filter(found => found !== undefined), [])
  const wrong = (from: string, to: string): boolean => innerFault({ from, to, typeOnly: true }) !== undefined
  t.equal(wrong('origin/transport/http1-pool.ts', 'origin/pool/server.ts'), true)
  t.equal(wrong('origin/pool/server.ts', 'origin/transport/http1-pool.ts'), false)
  t.equal(wrong('origin/pool/server.ts', 'origin/origins.ts'), true)
  t.equal(wrong('exchange/deliver/deliver.ts', 'exchange/fill/plan.ts'), true)
  t.equal(wrong('exchange/new-room/file.ts', 'exchange/handle.ts'), true)
})

t.test('no files import each other in a circle, not even by way of types', async t => {
  const imports = files.flatMap(importsOf)
  t.same(circles(imports), [])
  const planted = { from: join('http', 'fields.ts'), to: join('exchange', 'handle.ts'), typeOnly: true }
  t.ok(circles([...imports, planted]).some(circle => circle.includes(planted.from) && circle.includes(planted.to)), 'a planted circle is found')
})

t.test('nothing but the clock reads the time', async t => {
  const readers = files.filter(file => /\bDate\.now\(|\bperformance\.now\(|\bnew Date\(\)|\bprocess\.hrtime\b/.test(readFileSync(file, 'utf8'))).map(file => relative(source, file))
  // The page reads the clock of its browser, which is another machine's.
  t.same(readers.filter(file => file !== 'clock.ts' && !file.startsWith(join('cli', 'demo')) && roomOf(file) !== 'page'), [])
})

t.test('the page imports nothing of the house, and the house nothing of the page', async t => {
  const imports = files.flatMap(importsOf)
  t.same(imports.filter(({ from, to }) => (roomOf(from) === 'page') !== (roomOf(to) === 'page')), [])
  t.ok(imports.some(({ from }) => roomOf(from) === 'page'))
})

t.test('http, policy and forwarding do no I/O', async t => {
  const pure = files.filter(file => ['http', 'policy', 'forwarding'].includes(roomOf(relative(source, file))))
  const impure = pure.filter(file => /from 'node:(?!crypto'|net')|from 'undici'|from 'ioredis'|from 'fastify'/.test(readFileSync(file, 'utf8')))
  t.same(impure.map(file => relative(source, file)), [])
})

// exchange/ writes to a ClientResponse (exchange/client/response.ts): only the listener knows its protocol.
const carriers = /from '(?:node:(?:http|http2|https)|fastify)'|import\('(?:node:(?:http|http2|https)|fastify)'\)/

t.test('the exchange knows no server: neither node:http and its kin nor Fastify, not even by their types', async t => {
  const exchange = files.filter(file => roomOf(relative(source, file)) === 'exchange').map(file => [relative(source, file), readFileSync(file, 'utf8')] as const)
  const knowing = (texts: readonly (readonly [string, string])[]): string[] => texts.filter(([, text]) => carriers.test(text)).map(([file]) => file)
  t.ok(exchange.length > 20, `reads ${exchange.length} files`)
  t.same(knowing(exchange), [])
  for (const planted of ["import type { ServerResponse } from 'node:http'", "import { constants } from 'node:http2'", "export type { Agent } from 'node:https'",
    "import fastify from 'fastify'", "type R = import('node:http').ServerResponse"]) {
    t.same(knowing([...exchange, ['planted.ts', planted]]), ['planted.ts'], planted)
  }
})

t.test('every file opens with one line that describes it', async t => {
  const silent = files.filter(file => !/^(#!.*\n)?\/\/ \S/.test(readFileSync(file, 'utf8')))
  t.same(silent.map(file => relative(source, file)), [])
})

t.test('nothing is called a helper', async t => {
  t.same(files.map(file => relative(source, file)).filter(file => /util|helper|misc|common/i.test(file)), [])
})
