// Mutated fields of a trusted proxy through a whole Springhouse, before an origin that reads them loosely. Requests that share
// a response must have one meaning.
import { Agent } from 'node:http'
import { fieldLines, type FieldLines } from '../../src/http/fields.ts'
import { isUntrustedField } from '../../src/forwarding/untrusted-fields.ts'
import { ask, type Answer } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'
import { understood } from '../support/loose-reader.ts'
import { randomFrom } from './mutate.ts'
import type { Fuzzed } from './through.ts'

const values: Readonly<Record<string, readonly string[]>> = {
  'Forwarded': [
    'for=1.1.1.1',
    'for=6.6.6.6',
    'for="[::1]:80"',
    'for=_x',
    'for=unknown',
    'by=1.1.1.1;for=2.2.2.2',
    'for=1.1.1.1;host=evil',
    'for=1.1.1.1 host=evil',
    'for=1.1.1.1;host="h";proto=http',
    'host=evil',
    'host=www;proto=https;for=1.1.1.1',
    'for="1.1.1.1;host=evil"',
    'for="1.1.1.1',
    'for=1.1.1.1, for=6.6.6.6',
    'for=1.1.1.1;secret=a',
    'for=1.1.1.1; host = evil',
    'for=_x;host=',
    'proto=https',
  ],
  'X-Forwarded-For': ['1.1.1.1', '6.6.6.6', '1.1.1.1, 6.6.6.6', '::1', 'unknown', '1.1.1.1 host=evil', 'evil', '1.1.1.1:80'],
  'X-Real-IP': ['1.1.1.1', '6.6.6.6', 'evil', '1.1.1.1;host=evil', '_x'],
  'CF-Connecting-IP': ['1.1.1.1', '::1', 'evil'],
  'X-Forwarded-Proto': ['http', 'https', 'https, http', 'HTTP', 'ws'],
  'X-Forwarded-Host': ['h', 'www', 'h:80', 'evil', 'www:8443'],
  'X-Forwarded-Port': ['80', '443', '8443'],
  'X-Forwarded-Prefix': ['/a', '/b'],
  'X-Host': ['h', 'evil'],
  // As CGI would have them.
  'X_Real_IP': ['1.1.1.1', 'evil'],
  'X_Forwarded_Proto': ['http', 'https'],
  'X.Forwarded.Host': ['h', 'www:8443'],
  'X_Forwarded_Port': ['80', '8443'],
}
const names = Object.keys(values)
const scraps: readonly string[] = [' ', '\t', ',', ';', '"', '=', '\\', ':', '%', '.', '_', '[', ']', '1', 'f', '\xa0', '\x80', '\xe9', 'host=evil', ';host=evil', ',host=evil',
  ' host=evil', ';proto=https', 'for=', 'by=', '"[::1]"', '%25', '_x', '()', '<', 'evil']

type Line = readonly [name: string, value: string]

/** Requests that are near to one another: the first has some lines, and each other one of those before with something changed. */
function neighbours(seed: number): readonly (readonly Line[])[] {
  const random = randomFrom(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const line = (): Line => {
    const name = oneOf(names)
    return [name, oneOf(values[name] ?? [])]
  }
  const scribbled = ([name, value]: Line): Line => {
    const at = below(value.length + 1)
    return [name,
      oneOf([value.slice(0, at) + oneOf(scraps) + value.slice(at), value.slice(0, at) + value.slice(at + 1 + below(3)), value.toUpperCase(),
        `${value}, ${oneOf(values[name] ?? [])}`])]
  }
  const changed = (lines: readonly Line[]): Line[] => {
    const next = [...lines]
    const at = below(next.length + 1)
    const there = next[at]
    switch (below(7)) {
      case 0:
        next.splice(at, 0, line())
        break
      case 1:
        next.splice(at, 1)
        break
      case 2:
        next.splice(at, 1, line())
        break
      case 3:
        next.splice(below(next.length + 1), 0, ...next.splice(at, 1))
        break
      case 4:
        if (there !== undefined) next.splice(at, 1, [oneOf([there[0].replaceAll('-', '_'), there[0].replace('-', '.'), there[0].toUpperCase()]), there[1]])
        break
      case 5:
        if (there !== undefined) next.splice(at, 1, ...there[1].split(',').map((part): Line => [there[0], part]))
        break
      default:
        if (there !== undefined) next.splice(at, 1, scribbled(there))
    }
    return next
  }
  const all: (readonly Line[])[] = [Array.from({ length: below(4) }, line), []]
  while (all.length < 10) all.push(changed(oneOf(all)))
  return all
}

const together = 8
/** Returns the fields that distinguish requests. The reader receives no others. */
const about = (fields: FieldLines): FieldLines =>
  fields.filter((_, i) => {
    const name = fields[i - (i % 2)] as string
    return name === 'forwarded' || isUntrustedField(name)
  })

/** Tries one family of requests after another, from `seed` on, until `enough` says so. `passed` counts those that were given a stored response. */
export async function fuzzTrusted(seed: number, enough: (tried: number) => boolean): Promise<Fuzzed> {
  const closers: (() => Promise<void>)[] = []
  const agent = new Agent({ keepAlive: true, maxSockets: together })
  const { port } = await startProxy({ teardown: close => void closers.push(close) }, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=600' })
      response.end(JSON.stringify(understood(about(fieldLines(request.rawHeaders)))))
    },
    config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'], shutdownGraceMs: 100 }, cache: { memory: { maxBytes: '32MiB' } } },
  })
  const get = (path: string, lines: readonly Line[]): Promise<Answer> => ask(port, { path, headers: ['Host', 'h', ...lines.flat()], agent })
  const failures: string[] = []
  let tried = 0
  let passed = 0
  const family = async (number: number): Promise<void> => {
    for (const [i, lines] of neighbours(number).entries()) {
      const shared = await get(`/${number}`, lines)
      const own = await get(`/${number}/${i}`, lines)
      if (shared.status !== 200 || own.status !== 200) continue
      if (shared.header('cache-status')?.includes('hit') === true) passed++
      if (!shared.body.equals(own.body)) failures.push(`seed ${number}: ${JSON.stringify(lines)} was given ${String(shared.body)}, and is ${String(own.body)}`)
    }
  }
  try {
    while (!enough(tried) && failures.length < 10) {
      await Promise.all(Array.from({ length: together }, (_, i) => family(seed + tried + i)))
      tried += together
    }
  } finally {
    agent.destroy()
    for (const close of closers) await close()
  }
  return { tried, passed, failures }
}
