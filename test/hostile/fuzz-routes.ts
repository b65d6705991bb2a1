// Odd spellings of guarded and of shared paths through a whole Springhouse, and the readings of many kinds of origins.
import { Agent } from 'node:http'
import { posix } from 'node:path'
import { ask } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'
import { randomFrom } from './mutate.ts'
import type { Fuzzed } from './through.ts'

type Random = () => number
type Step = (path: string) => string

const decode: Step = path => path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
const asUrl = (step: (target: string) => string): Step => path => {
  try {
    return step(path)
  } catch {
    return path
  }
}

/** Changes that origins make to a path before they choose its resource. Each belongs to an existing program, or to half of one. */
const steps: readonly Step[] = [
  decode,
  path => decode(decode(path)),
  path => {
    let before = ''
    let now = path
    while (now !== before) {
      before = now
      now = decode(now)
    }
    return now
  },
  // Unreserved characters alone, as RFC 3986 §6.2.2.2 allows.
  path =>
    path.replaceAll(/%([0-9a-f]{2})/gi, (triplet, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16))
      return /[\w.~-]/.test(char) ? char : triplet
    }),
  path => path.replaceAll(/%[0-9a-f]{2}/gi, triplet => triplet.toLowerCase()),
  asUrl(decodeURIComponent),
  asUrl(decodeURI),
  path => path.replaceAll(/\/{2,}/g, '/'),
  path => path.replaceAll('\\', '/'),
  path => path.replaceAll(/%5c/gi, '/'),
  path => path.replaceAll(/%2f/gi, '/'),
  path => path.replaceAll(/;[^/]*/g, ''),
  path => path.replaceAll(/(?:;|%3b)[^/]*/gi, ''),
  path => path.replaceAll(/\/(?:\.\/)+/g, '/'),
  path => posix.normalize(path),
  asUrl(path => new URL(path, 'http://origin').pathname),
  asUrl(path => new URL(`http://origin${path}`).pathname),
  path => path.replace(/^[/\\]{2,}[^/\\]*/, ''),
  path => path.replaceAll(/[. ]+(?=\/|$)/g, ''),
  path => path.replaceAll('\0', ''),
  path => path.replaceAll(/[\0-\x20]/g, ''),
  path => path.trim(),
  path => path.split('\0')[0] as string,
  path => path.split(/[?#]/)[0] as string,
  path => path.toLowerCase(),
  // eslint-disable-next-line no-control-regex -- characters that are no bytes have been read as UTF-8 already
  path => (/^[\0-\xff]*$/.test(path) ? Buffer.from(path, 'latin1').toString('utf8') : path).normalize('NFKC'),
]

/** Returns the path as read by an origin that takes some of the steps, in some order. */
function reading(path: string, random: Random): string {
  let read = path
  for (let left = Math.floor(random() * 7); left > 0; left--) read = pick(steps, random)(read)
  return read
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T
}

const hex = (char: string, random: Random): string => {
  const digits = char.charCodeAt(0).toString(16).padStart(2, '0')
  return random() < 0.5 ? digits : digits.toUpperCase()
}
const encode = (text: string, random: Random): string => [...text].map(char => `%${hex(char, random)}`).join('')

const noise = ['/', '//', '/./', '/.;x/', '/;/', '/;x=1/', '\\', '/\\', '%2f', '%5C', '%252f', ';', ';x', '%3bx', ';%2fx', '.', '%2e', '/%2e/', '%00', '%20', '%09', '%2500', '%',
  '%25', '%u0061', '%c0%af', '//host', '/x', '/%252e%252e', '/%252e%252e/%252e%252e/', '/.%252e/x/.%252e%252f', '/..%00', '/..%20/', '%ef%bc%8f', '%e2%80%8b', '\u00e9', '?', '%3f',
  '%23', '/account', '/public', ':', '@h', '*', '~']

/** A spelling of a path that some origin may read as it. */
function spelling(path: string, random: Random): string {
  const oddness = random() * 0.4
  let spelt = ''
  for (const char of path) {
    if (random() < oddness / 4) spelt += pick(noise, random)
    if (random() >= oddness) spelt += char
    else {
      const way = random()
      if (way < 0.4) spelt += encode(char, random)
      else if (way < 0.6) spelt += encode(encode(char, random), random)
      else if (way < 0.7) spelt += `%25${hex(char, random)}`
      else if (way < 0.8) spelt += char.toUpperCase()
      else if (way < 0.85 && char >= 'a' && char <= 'z') spelt += encode(Buffer.from(String.fromCharCode(char.charCodeAt(0) + 0xfee0)).toString('latin1'), random)
      else spelt += char === '/' ? pick(noise, random) : char + pick(noise, random)
    }
  }
  while (random() < 0.3) spelt += pick(noise, random)
  return spelt.startsWith('/') ? spelt : `/${spelt}`
}

interface Scene {
  readonly host: string
  readonly paths: readonly string[]
  /** True if an origin that reads this may send a response there that is not for others. */
  guarded(read: string): boolean
}

const scenes: readonly Scene[] = [
  // The path /account and all below it is private, all else is shared.
  { host: 'guarded.example', paths: ['/account', '/account/settings', '/x/account', '//account'], guarded: read => isWithin(read, '/account') },
  { host: 'exact.example', paths: ['/account', '/account/', '/x/account', '//account'], guarded: read => read === '/account' || read === '/account/' },
  { host: 'deeper.example', paths: ['/a/b-c/account', '/a/b-c', '/a/b-c/x.y'], guarded: read => isWithin(read, '/a/b-c/account') },
  // The path /public/ is shared, all else is private. Origins that leave out its last slash mean the same by it.
  { host: 'shared.example', paths: ['/public/a', '/public/', '/public/x/y.css', '/account'], guarded: read => !isWithin(read, '/public') },
]

function isWithin(read: string, path: string): boolean {
  return `${read}/`.startsWith(`${path}/`)
}

const lax = { cookies: 'ignore' }
const routes = [
  { match: { host: 'guarded.example', path: '/account' }, origin: 'api', cache: { mode: 'bypass' } },
  { match: { host: 'exact.example', exact: '/account' }, origin: 'api', cache: { cookies: 'private' } },
  { match: { host: 'deeper.example', path: '/a/b-c/account' }, origin: 'api', cache: { cookies: 'private' } },
  { match: { host: 'shared.example', path: '/public/' }, origin: 'api', cache: lax },
  { match: { host: 'shared.example' }, origin: 'api', cache: { cookies: 'private' } },
  { match: {}, origin: 'api', cache: lax },
]

const together = 16
const readingsOfEach = 120

/**
 * Tries spellings one by one, from `seed` on, until `enough` returns true. A victim requests each spelling, then a stranger. If
 * the stranger receives the victim's page, then no origin may read the path as a guarded one.
 */
export async function fuzzRoutes(seed: number, enough: (tried: number) => boolean): Promise<Fuzzed> {
  const closers: (() => Promise<void>)[] = []
  const seen = new Set<string>()
  const { port } = await startProxy({ teardown: close => void closers.push(close) }, {
    origin: (request, response) => {
      seen.add(`${request.headers.host} ${request.url}`)
      response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(`page of ${request.headers.cookie ?? 'nobody'}`)
    },
    config: { routes },
  })
  const agent = new Agent({ keepAlive: true, maxSockets: together })
  const failures: string[] = []
  let tried = 0
  let passed = 0

  async function trial(number: number): Promise<string | undefined> {
    const random = randomFrom(number)
    const scene = pick(scenes, random)
    const target = spelling(pick(scene.paths, random), random)
    const visit = async (...cookie: string[]) => ask(port, { path: target, agent, headers: ['Host', scene.host, ...cookie] })
    const victim = await visit('Cookie', 'victim')
    if (victim.status !== 200) return undefined
    if (!seen.has(`${scene.host} ${target}`)) return `${JSON.stringify(target)} did not arrive byte for byte`
    const path = target.split('?')[0] as string
    // Each reading of its own: most of them are of no use, and the same twice.
    const wrong = Array.from({ length: readingsOfEach }, () => reading(path, random)).find(read => scene.guarded(read))
    if (wrong !== undefined) passed++
    const shared = String((await visit()).body) === 'page of victim'
    return shared && wrong !== undefined ? `${scene.host}: ${JSON.stringify(target)} is shared, and an origin may read ${JSON.stringify(wrong)}` : undefined
  }

  try {
    while (!enough(tried) && failures.length < 10) {
      const found = await Promise.all(Array.from({ length: together }, (_, i) => trial(seed + tried + i)))
      failures.push(...found.flatMap((fault, i) => fault === undefined ? [] : [`seed ${seed + tried + i}: ${fault}`]))
      tried += together
    }
  } finally {
    agent.destroy()
    for (const close of closers) await close()
  }
  return { tried, passed, failures }
}
