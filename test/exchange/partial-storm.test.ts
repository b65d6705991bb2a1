// Clients that want parts and wholes of something that changes, from an origin of every temper: no byte of two versions is ever joined.
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as fc from 'fast-check'
import t from 'tap'
import { open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { ranged } from '../support/ranged-origin.ts'
import type { Recorded } from '../support/scripted-origin.ts'
import { faraway, startHandler } from './handler-under-test.ts'

const length = 60_000
const tempers = ['well', 'well', 'well', 'heedless of If-Range', 'heedless of Range', 'cut', 'reset', 'error', 'unsatisfiable', 'chunked', 'shy of lengths',
  'not to be stored'] as const
// Mostly parts: once the whole is stored, it serves all requests for a minute.
const ranges = ['0-9999', '5000-29999', '30000-39999', '25000-34999', '40000-', '59999-59999', '0-', '1-3', '-1', '-30000', '0-0,59999-59999', '60000-', '9-1']
const wants = fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 6, arbitrary: fc.constantFrom(...ranges).map(range => `bytes=${range}`) })

/** Returns the origin's body in a version: no two have a byte in common at any place. */
function truth(version: number): Buffer {
  const body = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) body[i] = i * 31 + version * 17
  return body
}

function answer(temper: typeof tempers[number], version: number, request: IncomingMessage, response: ServerResponse, recorded: Recorded): unknown {
  const fields = { 'Cache-Control': temper === 'not to be stored' ? 'no-store' : 'max-age=60', ETag: `"${version}"` }
  const has = { body: truth(version), fields, cut: temper === 'cut', chunked: temper === 'chunked', ...(temper === 'shy of lengths' && { complete: '*' }) }
  if (temper === 'reset') return request.socket.destroy()
  if (temper === 'error') return response.writeHead(503).end('no')
  if (temper === 'unsatisfiable' && request.headers.range !== undefined) return response.writeHead(416, { 'Content-Range': `bytes */${length}` }).end()
  if (temper === 'heedless of If-Range') delete request.headers['if-range']
  if (temper === 'heedless of Range') delete request.headers.range
  return ranged(has)(request, response, recorded)
}

interface Seen {
  readonly version: number | undefined
}

/** Rejects when a response seems complete and is not what one version has there. */
function visit(port: number, range: string | undefined, leaves: boolean): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const request = open(port, { path: '/a', headers: range === undefined ? [] : ['Range', range] }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        if (leaves) request.destroy()
      })
      response.on('error', () => undefined)
      response.on('close', () => {
        const fault = response.complete ? faultOf(response, Buffer.concat(chunks), range) : undefined
        if (fault === undefined) resolve({ version: versionOf(response) })
        else reject(new Error(fault))
      })
    })
    request.on('error', () => undefined)
    request.on('close', () => resolve({ version: undefined }))
  })
}

function versionOf({ statusCode, headers }: IncomingMessage): number | undefined {
  return statusCode === 200 || statusCode === 206 ? Number(headers.etag?.replaceAll('"', '')) : undefined
}

function faultOf(response: IncomingMessage, body: Buffer, range: string | undefined): string | undefined {
  const version = versionOf(response)
  if (version === undefined) return range === undefined && response.statusCode === 416 ? 'a 416 that nobody asked for' : undefined
  const all = truth(version)
  if (response.statusCode === 200) return body.equals(all) ? undefined : `200 of ${body.length} bytes is not version ${version}`
  if (range === undefined) return 'a 206 that nobody asked for'
  if (response.headers['content-type']?.startsWith('multipart/') === true) return undefined
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(response.headers['content-range'] ?? '') ?? []
  return body.equals(all.subarray(Number(first), Number(last) + 1)) ? undefined : `${first}-${last} is not that of version ${version}`
}

for (const [where, store] of [['near', undefined], ['far away', faraway]] as const) {
  t.test(`with a store that is ${where}`, async t => {
    let version = 0
    const script: (typeof tempers[number])[] = []
    const bench = await startHandler(t, {
      origin: (request, response, recorded) => answer(script.shift() ?? 'well', version, request, response, recorded),
      ...(store !== undefined && { store }),
    })
    const step = fc.record({
      together: fc.array(fc.tuple(wants, fc.integer({ min: 0, max: 9 }).map(n => n === 0)), { minLength: 1, maxLength: 3 }),
      script: fc.array(fc.constantFrom(...tempers), { maxLength: 3 }),
      afterwards: fc.constantFrom('nothing', 'nothing', 'changes', 'a minute passes', 'purged'),
    })
    let reused = 0
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async steps => {
      let atLeast = 0
      for (const { together, script: next, afterwards } of steps) {
        script.splice(0, script.length, ...next)
        const asked = bench.origin.requests.length
        const seen = await Promise.all(together.map(([range, leaves]) => visit(bench.port, range, leaves)))
        for (const each of seen) {
          if (each.version !== undefined && each.version < atLeast) throw new Error(`version ${each.version} after version ${atLeast} was purged`)
        }
        if (bench.origin.requests.length - asked < together.length) reused++
        if (afterwards === 'changes') version++
        if (afterwards === 'a minute passes') bench.clock.advance(61_000)
        if (afterwards !== 'purged') continue
        atLeast = ++version
        await bench.log.append({ urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: true, soft: false }, 0)
      }
      await eventually(() => bench.handler.filling === 0)
      version++
      await bench.log.append({ urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: true, soft: false }, 0)
    }), { numRuns: 40 })
    t.equal(bench.handler.filling, 0)
    t.ok(reused > 15, `${reused} steps needed the origin less often than they had clients`)
  })
}
