// Mutated requests through a whole Springhouse, and the origin's reading of them.
import { startProxy } from '../support/proxy.ts'
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
// Valid requests make up a good part: most that resemble a bad one are refused, and teach nothing.
const seeds: readonly string[] = [
  ...Array.from({ length: 100 }, () => plain).flat(),
  ...[framing, chunks, lines, requestLines, hosts].flat().map(([, sent]) => Buffer.from(sent, 'latin1').toString('latin1')).filter(sent => sent.length < 4_000),
]

export interface Fuzzed {
  readonly tried: number
  /** Failures, each with the seed and number that reproduce it. */
  readonly failures: readonly string[]
  /** How many of them reached the origin in some form: a fuzzer that never gets in finds nothing. */
  readonly passed: number
}

const together = 24
// The proxy waits for the rest of a truncated request. The tests do not.
const silenceMs = 60

interface Stage {
  readonly port: number
  readonly origin: Recorder
  close(): Promise<void>
}

async function stage(): Promise<Stage> {
  const closers: (() => Promise<void>)[] = []
  const origin = await startRecorder()
  const { port } = await startProxy({ teardown: close => void closers.push(close) }, {
    origin: () => undefined,
    config: { origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }], proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 100 } },
  })
  return {
    port,
    origin,
    close: async () => {
      for (const close of closers) await close()
      await origin.close()
    },
  }
}

/** A mutation whose second request is its own: its target at the origin names the seed. */
function mutation(seed: number): string {
  return mutated(seeds, randomFrom(seed)).replaceAll('/next', `/next-${seed}`)
}

/** Tries one mutation after another, from `seed` on, until `enough` says so. */
export async function fuzzThrough(seed: number, enough: (tried: number) => boolean): Promise<Fuzzed> {
  const { port, origin, close } = await stage()
  // Covers the whole run: a client that has left does not take back its bytes, and some may come while others speak.
  const said = new Said()
  const failures: string[] = []
  let tried = 0
  try {
    while (!enough(tried) && failures.length < 10) {
      const batch = Array.from({ length: together }, (_, i) => mutation(seed + tried + i))
      for (const sent of batch) said.add(sent)
      const answers = await Promise.all(batch.map(sent => exchange(port, sent, silenceMs).then(({ bytes }) => clientFault(sent, bytes))))
      const fault = answers.find(found => found !== undefined) ?? said.fault(origin)
      if (fault !== undefined) failures.push(`seeds ${seed + tried} to ${seed + tried + together - 1}: ${fault}`, ...await culprits(seed + tried))
      tried += together
    }
    const { bytes } = await exchange(port, next, 5_000)
    if (!bytes.startsWith('HTTP/1.1 200 OK\r\n')) failures.push('a plain request gets no response any more')
  } finally {
    await close()
  }
  return { tried, passed: said.heard, failures }
}

/** Returns the seeds of a batch that fail by themselves, each with a proxy and an origin of its own. */
async function culprits(firstSeed: number): Promise<string[]> {
  const found: string[] = []
  for (let seed = firstSeed; seed < firstSeed + together; seed++) {
    const { port, origin, close } = await stage()
    const sent = mutation(seed)
    const said = new Said()
    said.add(sent)
    const { bytes } = await exchange(port, sent, silenceMs * 4)
    await close()
    const fault = clientFault(sent, bytes) ?? said.fault(origin)
    if (fault !== undefined) found.push(`seed ${seed}: ${fault}: ${JSON.stringify(sent)}`)
  }
  return found
}

/** A client must find the end of every response. */
function clientFault(sent: string, heard: string): string | undefined {
  const methods = readClient(sent).messages.map(({ line }) => line.split(' ')[0] ?? '')
  // In a malformed request, the method of each response is unknown.
  if (/HEAD/i.test(sent) && methods.length === 0) return undefined
  const { fault } = readResponses(heard, methods)
  return fault === undefined ? undefined : `the client was sent ${fault}`
}

/** Requests that clients have sent, without those that reached the origin. */
class Said {
  readonly #left = new Map<string, number>()
  /** How many requests have come to the origin. */
  heard = 0

  add(sent: string): void {
    for (const message of readClient(sent).messages) {
      const words = spoken(message)
      this.#left.set(words, (this.#left.get(words) ?? 0) + 1)
    }
  }

  /** Requests that the origin received since the last call must be well-formed, and among the sent ones. */
  fault(origin: Recorder): string | undefined {
    const [fault] = origin.faults.splice(0)
    if (fault !== undefined) return `the origin was sent ${fault}`
    for (const message of origin.read.splice(0)) {
      this.heard++
      const words = spoken(message)
      const left = this.#left.get(words) ?? 0
      if (left === 0) return `the origin was sent what nobody said: ${JSON.stringify(message.line)} with ${JSON.stringify(message.body.slice(0, 80))}`
      if (left === 1) this.#left.delete(words)
      else this.#left.set(words, left - 1)
    }
    return undefined
  }
}

/** Method, target in origin-form, and body. */
function spoken({ line, body }: WireMessage): string {
  const [method = '', target = ''] = line.split(/ +/)
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '')
  return JSON.stringify([method, path.startsWith('/') || path === '*' ? path : `/${path}`, body])
}
