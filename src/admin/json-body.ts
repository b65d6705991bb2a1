// Reads a request body as JSON, and says where it is not.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { tooMuchJson } from './json-bounds.ts'
import { requestProblem } from './problems.ts'
import type { Turns } from './turns.ts'

/** Where in a text an offset is, counted from 1, as editors do. */
function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`
}

/** What is wrong with a text that JSON.parse refused. V8 tells the offset, or quotes the place, or means the end. */
function jsonProblem(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : 'is malformed'
  const offset = /at position (\d+)/.exec(message)?.[1]
  if (offset !== undefined) return `is not JSON: ${message.replace(/ in JSON at position.*$/s, '')} at ${lineAndColumn(text, Number(offset))}`
  if (message.startsWith('Unexpected end')) return `is not JSON: it ends too soon, at ${lineAndColumn(text, text.length)}`
  return `is not JSON: ${message}`
}

/**
 * Makes JSON the only body that the listener takes; any other type is a 415. Keys such as `__proto__` are safe to let
 * through: JSON.parse makes own properties of them, and the schemas know no such keys.
 */
export function takeJsonBodies(app: FastifyInstance, turns: Turns): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: FastifyRequest, body: string | Buffer): Promise<unknown> => {
    // All that follows, up to the handler, is one piece of work; bodies may arrive by the hundred.
    await turns.next()
    // RFC 8259 §8.1: a byte order mark may be ignored; some shells put one before what they pipe.
    const text = String(body).replace(/^\uFEFF/, '')
    const tooMuch = tooMuchJson(text)
    if (tooMuch !== undefined) throw requestProblem([{ path: '', message: tooMuch }])
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      throw requestProblem([{ path: '', message: jsonProblem(text, error) }])
    }
  })
}
