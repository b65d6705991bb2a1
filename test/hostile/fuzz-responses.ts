// Mutated responses of origins, over HTTP/1.1 and HTTP/2, through a whole Springhouse to clients of both: none ends the process.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { singleLineFields } from '../../src/http/field-section.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { data, startFrameOrigin, type FrameConnection } from '../support/http2-origin.ts'
import { startRawOrigin } from '../support/scripted-origin.ts'
import { secureClients, type SecureClients } from '../support/secure-clients.ts'
import { tlsFiles } from '../support/tls-files.ts'
import { exchange } from './exchange.ts'
import { endHeaders, endStream, fieldBlock, frame, frameType } from './frames.ts'
import { randomFrom } from './mutate.ts'
import type { Fuzzed } from './through.ts'
import { readResponses } from './wire.ts'

const registered = readFileSync(fileURLToPath(new URL('../../../test/fixtures/registered-fields.txt', import.meta.url)), 'utf8').trim().split('\n')
const oddNames = ['X', 'x-own', '_', '__proto__', 'constructor', 'X Y', '', ':status', 'X:', 'caf\xe9', 'X\0', 'Content_Length', '!#$%&*+-.^`|~']
const oddValues = [
  '',
  'a',
  'b',
  '0',
  '1',
  '-1',
  '5',
  '+5',
  '5, 5',
  '999999999999999999999',
  '"a"',
  'W/"a"',
  '"a", "b"',
  'x'.repeat(300),
  'a\tb',
  'caf\xe9',
  'a\0b',
  'a\x7f',
  ' a ',
  '\t',
  ',',
  ';',
  '"',
  '=?',
  'a\rb',
  '\x01',
  'Tue, 14 Nov 2023 22:13:20 GMT',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'max-age=60',
  'no-store',
  'private="set-cookie"',
  'must-revalidate=1',
  'public, s-maxage=60',
  'text/html',
  'gzip',
  'chunked',
  'identity',
  'close',
  'keep-alive',
  'x-own',
  'upgrade, x-own',
  'h2c',
  'websocket',
  'trailers',
  'bytes 0-4/5',
  'bytes 9-1/2',
  'bytes */5',
  'nosniff',
  'true',
  '/a',
  '//evil/',
  '*',
  'accept, x-own',
  '</a>; rel=preload',
  '<'.repeat(50),
  'a=b; Path=/',
  'springhouse; hit',
]
// Fields of a typical stored response, so that most are stored and sent again.
const usual = ['Cache-Control: max-age=60', 'ETag: "a"', 'Content-Type: text/plain', 'Date: Tue, 14 Nov 2023 22:13:20 GMT', 'Vary: x-own',
  'Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT', 'Age: 1', 'Expires: 0', 'Set-Cookie: a=b']
const statuses = [200, 200, 200, 200, 200, 200, 201, 204, 205, 206, 226, 299, 301, 302, 304, 400, 404, 410, 416, 418, 499, 500, 503, 511, 599, 600, 999, 100, 101, 0, 99]
const interims = [100, 102, 103, 103, 103, 104, 199, 101]

type Lines = readonly (readonly [name: string, value: string])[]

/** A response as an origin means to send it. */
interface Meant {
  readonly interim: readonly (readonly [status: number, fields: Lines])[]
  readonly status: number
  readonly fields: Lines
  readonly framing: 'length' | 'chunks' | 'end'
  readonly trailers: Lines
}

function meant(random: () => number): Meant {
  const below = (limit: number): number => Math.floor(random() * limit)
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const name = (): string => (random() < 0.4 ? oneOf(singleLineFields) : random() < 0.9 ? oneOf(registered) : oneOf(oddNames))
  const lines = (most: number): (readonly [string, string])[] =>
    Array.from({ length: below(most) }).flatMap(() => {
      const field = name()
      // Twice more often than not, with one value or two.
      const first = oneOf(oddValues)
      return random() < 0.4 ? [[field, first] as const] : [[field, first] as const, [field, random() < 0.3 ? first : oneOf(oddValues)] as const]
    })
  const shuffled = [...usual.filter(() => random() < 0.5).map(line => line.split(': ', 2) as [string, string]), ...lines(4)].toSorted(() => random() - 0.5)
  return {
    interim: Array.from({ length: random() < 0.3 ? 1 + below(2) : 0 }, () => [oneOf(interims), [['Link', '</a>; rel=preload'] as const, ...lines(3)]] as const),
    status: oneOf(statuses),
    fields: shuffled,
    framing: oneOf(['length', 'length', 'chunks', 'end']),
    trailers: random() < 0.4 ? lines(4) : [],
  }
}

const body = 'hello'

/** The bytes over HTTP/1.1, perhaps with a single byte changed. */
function asHttp1({ interim, status, fields, framing, trailers }: Meant, method: string, random: () => number): string {
  const section = (lines: Lines): string => lines.map(([field, value]) => `${field}: ${value}\r\n`).join('')
  const bodiless = method === 'HEAD' || status === 204 || status === 304
  const framed = framing === 'length'
    ? `Content-Length: ${status === 204 || status === 205 ? 0 : body.length}\r\n`
    : framing === 'chunks' && status !== 204
    ? 'Transfer-Encoding: chunked\r\n'
    : ''
  const content = bodiless || status === 205
    ? (framing === 'chunks' && !bodiless ? '0\r\n\r\n' : '')
    : framing === 'chunks'
    ? `${body.length}\r\n${body}\r\n0\r\n${section(trailers)}\r\n`
    : body
  const bytes = `${interim.map(([code, lines]) => `HTTP/1.1 ${code} Odd\r\n${section(lines)}\r\n`).join('')}HTTP/1.1 ${status} Odd\r\n${section(fields)}${framed}\r\n${content}`
  if (random() < 0.85) return bytes
  const at = Math.floor(random() * bytes.length)
  return bytes.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + bytes.slice(at + (random() < 0.5 ? 1 : 0))
}

/** The frames over HTTP/2. Names are in lower case, most of the time. */
function asHttp2({ interim, status, fields, framing, trailers }: Meant, method: string, stream: number, random: () => number): Buffer[] {
  const section = (lines: Lines): [string, string][] => lines.map(([field, value]) => [random() < 0.98 ? field.toLowerCase() : field, value])
  const headers = (code: number | undefined, lines: Lines, end: boolean): Buffer =>
    frame(frameType.headers, endHeaders | (end ? endStream : 0), stream, fieldBlock([...(code === undefined ? [] : [[':status', String(code)] as const]), ...section(lines)]))
  const bodiless = method === 'HEAD' || [204, 205, 304].includes(status)
  const frames = interim.map(([code, lines]) => headers(code, lines, false))
  frames.push(headers(status, framing === 'length' && !bodiless ? [...fields, ['content-length', String(body.length)]] : fields, bodiless))
  if (bodiless) return frames
  if (trailers.length === 0) return [...frames, data(stream, body, true)]
  return [...frames, data(stream, body), headers(undefined, trailers, true)]
}

/** The request that the HTTP/2 origin receives next. Its requests come one at a time, because their fields are compressed. */
interface Asked {
  number: number
  method: string
}

interface Stage {
  readonly asked: Asked
  readonly plain: TestProxy
  readonly secure: TestProxy
  readonly clients: SecureClients
  close(): Promise<void>
}

/** Two proxies, for clients of each protocol, before two origins. The response to `/1/N` and `/2/N` is number N. */
async function stage(): Promise<Stage> {
  const closers: (() => unknown)[] = []
  const teardown = (close: () => unknown): void => void closers.push(close)
  const asked: Asked = { number: 0, method: 'GET' }
  const raw = await startRawOrigin((socket) => {
    let seen = ''
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1')
      if (!seen.includes('\r\n\r\n')) return
      const [method = '', target = ''] = seen.split(' ', 2)
      seen = ''
      if (target.startsWith('/plain')) return void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain')
      const random = randomFrom(Number(target.split(/\D+/)[2]))
      // The end of the connection ends an incomplete message: no reader waits for more.
      socket.end(Buffer.from(asHttp1(meant(random), method, random), 'latin1'))
    })
  })
  teardown(() => raw.close())
  const frames = await startFrameOrigin((connection: FrameConnection, stream) => {
    const random = randomFrom(asked.number)
    connection.send(...asHttp2(meant(random), asked.method, stream, random))
  })
  teardown(() => frames.close())
  const tls = tlsFiles({ teardown })
  const config = {
    origins: { api: { servers: [raw.url] }, api2: { servers: [frames.url], http2: true, tls: { ca: tls.cert } } },
    routes: [{ match: { path: '/2/' }, origin: 'api2' }, { match: {}, origin: 'api' }],
  }
  const houseOf = (proxy: object): Promise<TestProxy> =>
    startProxy({ teardown }, { origin: () => undefined, config: { ...config, proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 100, ...proxy } } })
  const plain = await houseOf({})
  const secure = await houseOf({ tls })
  const clients = secureClients(secure.port)
  teardown(() => clients.close())
  return {
    plain,
    secure,
    clients,
    asked,
    close: async () => {
      for (const close of closers.toReversed()) await close()
    },
  }
}

const ways = [['GET', ''], ['GET', ''], ['POST', ''], ['HEAD', '?head']] as const
const together = 12

/** Tries one response after another, from number `seed` on, until `enough` says so. The same number is the same response. */
export async function fuzzResponses(seed: number, enough: (tried: number) => boolean): Promise<Fuzzed> {
  const failures: string[] = []
  const uncaught = (error: unknown): void => void failures.push(`uncaught: ${error instanceof Error ? error.stack ?? error.message : String(error)}`)
  process.on('uncaughtException', uncaught)
  process.on('unhandledRejection', uncaught)
  const { plain, secure, clients, asked, close } = await stage()
  let tried = 0
  let passed = 0
  try {
    while (!enough(tried) && failures.length < 10) {
      const batch = Array.from({ length: together }, (_, i) => seed + tried + i)
      const tryOne = async (carrier: string, number: number): Promise<void> => {
        for (const [method, query] of ways) {
          const target = `/${carrier}/${number}${query}`
          if (carrier === '2') Object.assign(asked, { number, method })
          const heard = [await over1(plain.port, method, target), await over2(clients, method, target)]
          passed += heard.filter(found => found === 'passed').length
          failures.push(...heard.filter(found => found !== 'passed' && found !== 'refused').map(found => `response ${number}, ${method} ${target}: ${found}`))
        }
      }
      await Promise.all(batch.map(number => tryOne('1', number)))
      for (const number of batch) await tryOne('2', number)
      tried += together
      const after = [await over1(plain.port, 'GET', '/plain'), await over2(clients, 'GET', '/plain')]
      if (after.some(found => found !== 'passed')) failures.push(`behind responses ${batch[0]} to ${batch.at(-1)} a plain request is not answered any more: ${after.join(', ')}`)
      for (const house of [plain, secure]) failures.push(...await guarded(house, batch))
    }
  } finally {
    await close()
    process.off('uncaughtException', uncaught)
    process.off('unhandledRejection', uncaught)
  }
  return { tried, passed, failures }
}

/** A fault that is handled on receipt never comes to the last guard. */
async function guarded(house: TestProxy, batch: readonly number[]): Promise<string[]> {
  const metrics = (await house.admin('/metrics')).body.toString()
  return /^springhouse_responses_unsendable_total 0$/m.test(metrics) ? [] : [`responses ${batch[0]} to ${batch.at(-1)}: Node would not send one`]
}

/** Returns `passed`, `refused`, or the fault in the bytes that an HTTP/1.1 client received. */
async function over1(port: number, method: string, target: string): Promise<string> {
  const length = method === 'POST' ? 'Content-Length: 0\r\n' : ''
  const { bytes, closed } = await exchange(port, `${method} ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${length}\r\n`, 20_000)
  if (!closed) return 'the connection was not closed'
  const { messages, fault, rest } = readResponses(bytes, [method])
  if (fault !== undefined) return fault
  const final = messages.at(-1)
  if (final === undefined || rest !== '') return 'refused'
  const doubled = doubledIn(final.fields.map(([name]) => name.toLowerCase())) ?? doubledIn(final.trailers.map(([name]) => name.toLowerCase()))
  if (doubled !== undefined) return `${doubled} twice`
  return / 50[02] /.test(final.line) ? 'refused' : 'passed'
}

/** The same over HTTP/2, where Node's client itself refuses malformed messages. */
async function over2(clients: SecureClients, method: string, target: string): Promise<string> {
  const { status, lines, trailers, broken } = await clients.ask('h2', target, method)
  if (broken !== undefined) return /INTERNAL_ERROR|closed with 2/.test(broken) ? 'refused' : broken
  const doubled = doubledIn(lines.filter((_, i) => i % 2 === 0)) ?? doubledIn(trailers.filter((_, i) => i % 2 === 0))
  if (doubled !== undefined) return `${doubled} twice`
  return status === 500 || status === 502 ? 'refused' : 'passed'
}

function doubledIn(names: readonly string[]): string | undefined {
  return names.find((name, i) => singleLineFields.includes(name) && names.indexOf(name) !== i)
}
