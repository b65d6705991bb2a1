// Mutated responses before the own HTTP/1.1 reader and llhttp: what the first takes, the second takes as well, with the same content.
import { Http1Reader, type Http1ReaderSink, type Surplus } from '../../src/origin/transport/http1-reader.ts'
import type { Http1Head } from '../../src/origin/transport/http1-head.ts'
import { Llhttp, type ParsedResponse } from './llhttp.ts'
import { mutated, randomFrom } from './mutate.ts'

/** A sink that notes all it is given. It copies the bytes, as a connection does. */
class Notes implements Http1ReaderSink {
  readonly interims: number[] = []
  status = 0
  lines: readonly string[] = []
  body = ''
  trailers: readonly string[] = []
  ended: Surplus | undefined
  fault: string | undefined

  interim({ status }: Http1Head): void {
    this.interims.push(status)
  }

  head({ status, lines }: Http1Head): void {
    this.status = status
    this.lines = lines
  }

  data(pieces: readonly Buffer[]): void {
    for (const piece of pieces) this.body += piece.toString('latin1')
  }

  end(trailers: readonly string[], surplus: Surplus): void {
    this.trailers = trailers
    this.ended = surplus
  }

  whole(head: Http1Head, body: Buffer, surplus: Surplus): void {
    this.head(head)
    this.data([body])
    this.end([], surplus)
  }

  malformed(code: string, detail: string): void {
    this.fault = `${code} ${detail}`
  }

  get response(): ParsedResponse {
    const { interims, status, lines, body, trailers } = this
    return { interims, status, lines, body, trailers }
  }
}

const maxHeaderBytes = 65_536

/** Reads bytes in pieces of these lengths, from memory that is overwritten after each, as the shared memory of connections is. */
function read(bytes: Buffer, method: string, pieces: readonly number[], ended: boolean): { readonly notes: Notes; readonly usedBytes: number } {
  const notes = new Notes()
  const reader = new Http1Reader(notes, maxHeaderBytes)
  const memory = Buffer.allocUnsafe(Math.max(1, bytes.length))
  reader.begin(method)
  let at = 0
  for (const length of pieces) {
    if (reader.isIdle) break
    const given = memory.subarray(0, bytes.copy(memory, 0, at, at + length))
    reader.read(given)
    given.fill(0x21)
    at += length
  }
  if (ended && reader.endsWithConnection) reader.finish()
  return { notes, usedBytes: at }
}

/** The length of the message at the start of some bytes, found by giving the reader one more byte at a time from a shorter beginning on. */
function messageLength(bytes: Buffer, method: string): number {
  const notes = new Notes()
  const reader = new Http1Reader(notes, maxHeaderBytes)
  reader.begin(method)
  for (let at = 0; at < bytes.length; at++) {
    reader.read(bytes.subarray(at, at + 1))
    if (reader.isIdle) return at + 1
  }
  return bytes.length
}

const seeds = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3;a=b;c="d e"\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\nY: 2\r\n\r\n',
  'HTTP/1.1 200 OK\r\nX: 1\r\n\r\nhello to the end',
  'HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello',
  'HTTP/1.0 200 OK\r\n\r\nhello',
  'HTTP/1.1 204 No Content\r\nX: a\tb \r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 404 Not \xe9\r\nX-Long:   \t a b  \r\nEmpty:\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL',
]
const methods = ['GET', 'GET', 'GET', 'HEAD', 'POST']

export interface FuzzedReader {
  readonly tried: number
  /** Responses that both took. */
  readonly taken: number
  /** Responses that the own reader refused. */
  readonly refused: number
  readonly failures: readonly string[]
}

/** Reads as many responses as `count` says, from number `seed` on. The same number is the same response. */
export function fuzzReader(seed: number, count: number): FuzzedReader {
  const llhttp = new Llhttp()
  const failures: string[] = []
  let taken = 0
  let refused = 0
  let tried = 0
  for (; tried < count && failures.length < 10; tried++) {
    const random = randomFrom(seed + tried)
    const method = methods[Math.floor(random() * methods.length)] as string
    const text = random() < 0.1 ? seeds[Math.floor(random() * seeds.length)] as string : mutated(seeds, random)
    const bytes = Buffer.from(text, 'latin1')
    const ended = random() < 0.7
    const { notes } = read(bytes, method, [bytes.length], ended)
    const fail = (why: string, ...more: unknown[]): void => void failures.push(`response ${seed + tried}, ${method}: ${why}: ${JSON.stringify(text)} ${JSON.stringify(more)}`)
    if (notes.fault !== undefined) refused++
    else if (notes.ended !== undefined) {
      taken++
      const length = notes.ended === 'none' ? bytes.length : messageLength(bytes, method)
      const theirs = llhttp.parse(bytes.subarray(0, length), method, ended && length === bytes.length)
      if (theirs === undefined) fail('llhttp refuses it', notes.response)
      else if (JSON.stringify(theirs) !== JSON.stringify(notes.response)) fail('llhttp reads another response', notes.response, theirs)
    }
    const split = read(bytes, method, cutAtRandom(bytes.length, random), ended)
    if ((split.notes.fault === undefined) !== (notes.fault === undefined) && notes.ended === undefined) fail('in pieces it is judged otherwise', notes.fault, split.notes.fault)
    else if ((split.notes.ended === undefined) !== (notes.ended === undefined)) fail('in pieces it ends otherwise', notes.ended, split.notes.ended)
    else if (notes.ended !== undefined && JSON.stringify(split.notes.response) !== JSON.stringify(notes.response))
      fail('in pieces it is another response', notes.response, split.notes.response)
  }
  return { tried, taken, refused, failures }
}

function cutAtRandom(length: number, random: () => number): number[] {
  const most = random() < 0.3 ? 1 : random() < 0.5 ? 4 : 40
  const found: number[] = []
  for (let left = length; left > 0;) {
    const piece = Math.min(left, 1 + Math.floor(random() * most))
    found.push(piece)
    left -= piece
  }
  return found
}
