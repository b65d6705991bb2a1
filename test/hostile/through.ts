// Mutated requests through a whole Springhouse, and what the origin makes of them.
import { startHouse } from '../support/house.ts'
import { exchange } from './exchange.ts'
import { mutated, randomFrom } from './mutate.ts'
import { startRecorder, type Recorder } from './recorder.ts'
import { chunks, framing, hosts, lines, next, requestLines } from './requests.ts'
import { readClient, readResponses, type WireMessage } from './wire.ts'

const plain: readonly string[] = [
  `GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n${next}`,
  `POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello${next}`,
  `POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${next}`,
  `POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: 1\r\n\r\n${next}`,
  `GET /a HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nIf-None-Match: "x"\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\n\r\n${next}`,
  `PUT /a;b=c HTTP/1.1\r\nHost: h:8080\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n${next}`,
  `GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n${next}`,
]
// Those that are in order make up a good part: most of what is near to a bad one is refused, and teaches nothing.
const seeds: readonly string[] = [
  ...Array.from({ length: 100 }, () => plain).flat(),
  ...[framing, chunks, lines, requestLines, hosts].flat().map(([, sent]) => Buffer.from(sent, 'latin1').toString('latin1')).filter(sent => sent.length < 4_000),
]

export interface Fuzzed {
  readonly tried: number
  /** What went wrong, with the seed and number that make it go wrong again. */
  readonly failures: readonly string[]
  /** How many of them reached the origin in some form: a fuzzer that never gets in finds nothing. */
  readonly passed: number
}

const together = 24
// The proxy waits for the rest of what is cut; nobody else does.
const silenceMs = 60

/** Tries mutations number `from` onwards, until `enough` says so. */
export async function fuzzThrough(seed: number, enough: (tried: number) => boolean): Promise<Fuzzed> {
  const closers: (() => Promise<void>)[] = []
  const origin = await startRecorder()
  const house = await startHouse({ teardown: close => void closers.push(close) }, {
    origin: () => undefined,
    config: { origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }], proxy: { host: '127.0.0.1', port: 0 } },
  })
  const failures: string[] = []
  // A client that has gone does not call back what it said: some of it may come to the origin when the next ones speak.
  let before: readonly string[] = []
  let tried = 0
  let passed = 0
  try {
    while (!enough(tried) && failures.length < 10) {
      origin.forget()
      const batch = Array.from({ length: together }, (_, i) => mutated(seeds, randomFrom(seed + tried + i)))
      const answers = await Promise.all(batch.map(sent => exchange(house.port, sent, silenceMs).then(({ bytes }) => clientFault(sent, bytes))))
      passed += origin.requests().length
      const wrong = answers.some(fault => fault !== undefined) || originFault([...batch, ...before], origin) !== undefined
      before = batch
      // Each by itself, to know which it was.
      if (wrong) failures.push(...await culprits(batch, seed + tried, house.port, origin))
      tried += together
    }
    origin.forget()
    const { bytes } = await exchange(house.port, next)
    if (!bytes.startsWith('HTTP/1.1 200 OK\r\n')) failures.push('a plain request is not answered any more')
  } finally {
    for (const close of closers) await close()
    await origin.close()
  }
  return { tried, passed, failures }
}

async function culprits(batch: readonly string[], firstSeed: number, port: number, origin: Recorder): Promise<string[]> {
  const found: string[] = []
  for (const [i, sent] of batch.entries()) {
    origin.forget()
    const { bytes } = await exchange(port, sent, silenceMs * 4)
    const fault = clientFault(sent, bytes) ?? originFault([sent, ...batch.slice(Math.max(0, i - 2), i)], origin)
    if (fault !== undefined) found.push(`seed ${firstSeed + i}: ${fault}: ${JSON.stringify(sent)}`)
  }
  return found
}

/** Whatever an answer looks like, a client must be able to tell where it ends. */
function clientFault(sent: string, heard: string): string | undefined {
  const methods = readClient(sent).messages.map(({ line }) => line.split(' ')[0] ?? '')
  // In what is malformed nobody can say which answer is for HEAD.
  if (/HEAD/i.test(sent) && methods.length === 0) return undefined
  const { fault } = readResponses(heard, methods)
  return fault === undefined ? undefined : `the client was sent ${fault}`
}

/** What the origin was sent must be well-formed, and among what the clients said. */
function originFault(batch: readonly string[], origin: Recorder): string | undefined {
  const said = new Map<string, number>()
  for (const sent of batch) for (const message of readClient(sent).messages) said.set(spoken(message), (said.get(spoken(message)) ?? 0) + 1)
  for (const { messages, fault } of origin.readings()) {
    if (fault !== undefined) return `the origin was sent ${fault}`
    for (const message of messages) {
      const left = said.get(spoken(message)) ?? 0
      if (left === 0) return `the origin was sent what nobody said: ${JSON.stringify(message.line)} with ${JSON.stringify(message.body.slice(0, 80))}`
      said.set(spoken(message), left - 1)
    }
  }
  return undefined
}

/** Method, target in origin-form, and body. */
function spoken({ line, body }: WireMessage): string {
  const [method = '', target = ''] = line.split(/ +/)
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '')
  return JSON.stringify([method, path.startsWith('/') || path === '*' ? path : `/${path}`, body])
}
