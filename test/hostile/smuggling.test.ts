// Every request that an origin receives has one reading, whatever the client sent. After a refused request a connection carries
// nothing more.
import t from 'tap'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { exchange } from './exchange.ts'
import { startRecorder, type Recorder } from './recorder.ts'
import { chunks, framing, hosts, lines, refusedTargets, requestLines, targets, type Case, type Outcome } from './requests.ts'
import { readResponses, statusOf } from './wire.ts'

type Tap = Pick<typeof t, 'teardown' | 'ok' | 'equal' | 'same' | 'pass' | 'fail'>

async function before(tap: Tap): Promise<{ house: TestProxy; origin: Recorder }> {
  const origin = await startRecorder()
  tap.teardown(() => origin.close())
  const house = await startProxy(tap, {
    origin: () => undefined,
    config: { origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }], proxy: { host: '127.0.0.1', port: 0 } },
  })
  return { house, origin }
}

/** Returns the fault in the outcome of a case, or undefined if there is none. */
function wrong(origin: Recorder, heard: { bytes: string; closed: boolean }, sent: string, outcome: Outcome): string | undefined {
  const faults = origin.readings().flatMap(({ fault }) => fault ?? [])
  if (faults.length > 0) return `the origin was sent: ${faults.join('; ')}`
  const seen = origin.requests().map(({ line, body }) => `${line.replace(/ HTTP\/1\.1$/, '')} ${body}`)
  const methods = [...sent.matchAll(/(?:^|\n)([A-Z]+) [^\n]* HTTP\/1\.[01]\r/g)].map(([, method = '']) => method)
  const answers = readResponses(heard.bytes, methods[0] === 'HEAD' ? ['HEAD'] : [])
  if (answers.fault !== undefined || answers.rest !== '') return `the client was sent: ${answers.fault ?? 'half a response'}: ${answers.rest.slice(0, 80)}`
  const statuses = answers.messages.map(statusOf)
  const refused = statuses.length === 1 && Number(statuses[0]) >= 400 && heard.closed && seen.length === 0
  if (outcome === 'refused') { if (refused) return undefined }
  else if (outcome === 'unfinished') { if (seen.length === 0 && (refused || statuses.length === 0)) return undefined }
  else if (isList(outcome)) { if (isSeen(seen, outcome)) return undefined }
  else if (refused || isSeen(seen, outcome.either)) return undefined
  return `statuses ${statuses.join()}, ${heard.closed ? 'closed' : 'left open'}, the origin saw ${JSON.stringify(seen).slice(0, 200)}`
}

function isList(outcome: Outcome): outcome is readonly string[] {
  return Array.isArray(outcome)
}

// In any order: the requests may have reached the origin over two connections.
function isSeen(seen: readonly string[], expected: readonly string[]): boolean {
  return JSON.stringify(seen.toSorted()) === JSON.stringify(expected.toSorted())
}

async function tryAll(tap: Tap, cases: readonly Case[]): Promise<void> {
  const { house, origin } = await before(tap)
  for (const [name, sent, outcome] of cases) {
    origin.forget()
    const heard = await exchange(house.port, sent, outcome === 'unfinished' ? 400 : undefined)
    // Bytes of an unfinished request must not be taken for the next case's.
    if (outcome === 'unfinished') { for (const connection of origin.connections.splice(0)) connection.destroy() }
    const complaint = wrong(origin, heard, sent, outcome)
    tap.equal(complaint, undefined, name)
  }
}

t.test('lengths and codings', tap => tryAll(tap, framing))
t.test('chunks', tap => tryAll(tap, chunks))
t.test('lines, names and values', tap => tryAll(tap, lines))
t.test('request lines', tap => tryAll(tap, requestLines))
t.test('hosts', tap => tryAll(tap, hosts))

t.test('odd targets arrive byte for byte, or not at all', async tap => {
  const { house, origin } = await before(tap)
  for (const target of [...targets, ...refusedTargets]) {
    for (const method of ['GET', 'POST']) {
      origin.forget()
      const heard = await exchange(house.port, `${method} ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
      const status = statusOf(readResponses(heard.bytes).messages[0])
      const [seen] = origin.requests()
      const through = status === 200 && seen?.line === `${method} ${target} HTTP/1.1`
      const refused = status >= 400 && status < 500 && seen === undefined && heard.closed
      tap.ok(refusedTargets.includes(target) ? refused : through || refused, `${method} ${JSON.stringify(target)}: ${status}, ${seen?.line}`)
    }
  }
})

t.test('every byte in a target arrives as it is, or not at all', async tap => {
  const { house, origin } = await before(tap)
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code)
    if (char === '\r' || char === '\n' || char === ' ') continue
    origin.forget()
    const heard = await exchange(house.port, `GET /a${char}b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
    const status = statusOf(readResponses(heard.bytes).messages[0])
    const [seen] = origin.requests()
    tap.ok((status === 200 && seen?.line === `GET /a${char}b HTTP/1.1`) || (status === 400 && seen === undefined && heard.closed), `0x${code.toString(16)}: ${status}`)
  }
})
