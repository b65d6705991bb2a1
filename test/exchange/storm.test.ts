// Clients that leave, origins that break off and stores that take their time, all at once: nothing is left hanging.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as fc from 'fast-check'
import t from 'tap'
import { open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { faraway, startHandler } from './handler-under-test.ts'

const body = randomBytes(300_000)
const kinds = ['whole', 'chunked', 'cut', 'reset', 'error', 'private', 'empty'] as const
const leavings = ['never', 'at once', 'at the head', 'at the first bytes', 'without reading'] as const
const fields = { 'Cache-Control': 'max-age=60, stale-while-revalidate=30', 'ETag': '"v"' }

function answer(kind: typeof kinds[number], request: IncomingMessage, response: ServerResponse): void {
  if (kind === 'reset') request.socket.destroy()
  else if (kind === 'error') response.writeHead(503).end('no')
  else if (request.headers['if-none-match'] !== undefined) response.writeHead(304, fields).end()
  else if (kind === 'empty') response.writeHead(200, { ...fields, 'Content-Length': 0 }).end()
  else {
    response.writeHead(200, { ...fields, ...(kind === 'private' && { 'Cache-Control': 'private' }), ...(kind !== 'chunked' && { 'Content-Length': body.length }) })
    response.write(body.subarray(0, 200_000), () => {
      if (kind === 'cut') response.destroy()
      else response.end(body.subarray(200_000))
    })
  }
}

/** A client's visit: resolves when it has its response, or has left. Rejects when a response seems complete and is not. */
function visit(port: number, path: string, leaving: typeof leavings[number]): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = open(port, { path }, response => {
      const leave = (): void => {
        request.destroy()
      }
      let bytes = 0
      response.on('error', () => undefined)
      response.on('close', () => {
        if (response.complete && response.statusCode === 200 && bytes !== 0 && bytes !== body.length) reject(new Error(`${bytes} bytes looked whole`))
        else resolve()
      })
      if (leaving === 'without reading') {
        setImmediate(leave)
        return
      }
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (leaving === 'at the first bytes') leave()
      })
      if (leaving === 'at the head') leave()
    })
    request.on('error', () => undefined)
    request.on('close', resolve)
    if (leaving === 'at once') setImmediate(() => request.destroy())
  })
}

for (const [where, store] of [['near', undefined], ['far away', faraway]] as const) {
  t.test(`with a store that is ${where}, every fill comes to its end although clients leave and origins break off`, async t => {
    const script: (typeof kinds[number])[] = []
    const bench = await startHandler(t, {
      origin: (request, response) => answer(script.shift() ?? 'whole', request, response),
      ...(store !== undefined && { store }),
    })
    const step = fc.record({ path: fc.constantFrom('/a', '/b'), leaving: fc.constantFrom(...leavings), laterMs: fc.constantFrom(0, 0, 61_000, 100_000) })
    await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { maxLength: 6 }), fc.array(step, { minLength: 1, maxLength: 8 }), async (answers, steps) => {
      script.splice(0, script.length, ...answers)
      const visits = steps.map(({ path, leaving, laterMs }) => {
        bench.clock.advance(laterMs)
        return visit(bench.port, path, leaving)
      })
      await Promise.all(visits)
      await eventually(() => bench.handler.filling === 0)
      await bench.log.append({ urls: [], prefixes: ['/a', '/b'].map(target => ({ authority: undefined, target })), tags: [], tagsMatch: 'any', all: false, soft: false }, 0)
      // The next client is served, whatever was left behind.
      script.length = 0
      await visit(bench.port, '/a', 'never')
    }), { numRuns: 60 })
    t.equal(bench.handler.filling, 0)
  })
}
