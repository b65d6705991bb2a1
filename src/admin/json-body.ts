// Parses request bodies as JSON, and reports the place of an error.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { tooMuchJson } from './json-bounds.ts'
import { requestProblem } from './problems.ts'
import type { Turns } from './turns.ts'

/** Returns the line and column of an offset, counted from 1. */
function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`
}

/** Describes why JSON.parse refused a text. V8's message gives the offset, quotes the place, or reports the end. */
function jsonProblem(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : 'is malformed'
  const offset = /at position (\d+)/.exec(message)?.[1]
  if (offset !== undefined) return `is not JSON: ${message.replace(/ in JSON at position.*$/s, '')} at ${lineAndColumn(text, Number(offset))}`
  if (message.startsWith('Unexpected end')) return `is not JSON: it ends too soon, at ${lineAndColumn(text, text.length)}`
  return `is not JSON: ${message}`
}

/** A body that was not parsed. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * Makes JSON the only content type that the listener accepts; any other gets 415. Keys such as `__proto__` are safe: JSON.parse
 * makes own properties of them, and the schemas refuse them.
 */
export function takeJsonBodies(app: FastifyInstance, turns: Turns): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (request: FastifyRequest, body: string | Buffer): Promise<unknown> => {
    // Parsing and validation up to the handler are one piece of work, because hundreds of bodies may arrive at once.
    await turns.next()
    if (request.routeOptions.config.keepsJsonText === true) return new JsonText(String(body))
    // RFC 8259 §8.1: a byte order mark may be ignored. Some shells put one before piped text.
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
