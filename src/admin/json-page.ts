// A page of a list as JSON text, written member by member, so that it is not all written in one go at the end.
import type { FastifyReply } from 'fastify'
import { requestProblem, type AdminProblem } from './problems.ts'

/** Longer than any cursor is. */
export const maxCursorChars = 8_192

/** Characters of a page, about: it ends with the member that reaches this, and its cursor says where the next begins. */
const mostChars = 1_048_576

/** An object with one array, and perhaps a cursor. */
export class JsonPage {
  readonly #members: string[] = []
  #chars = 0

  /** How many characters its members have so far. */
  get chars(): number {
    return this.#chars
  }

  get length(): number {
    return this.#members.length
  }

  get full(): boolean {
    return this.#chars >= mostChars
  }

  add(member: unknown): void {
    const text = JSON.stringify(member)
    this.#members.push(text)
    this.#chars += text.length + 1
  }

  /** @param cursor where the next page begins; undefined: there is none */
  toText(name: string, cursor: string | undefined): string {
    return `{${JSON.stringify(name)}:[${this.#members.join(',')}]${cursor === undefined ? '' : `,"cursor":${JSON.stringify(cursor)}`}}`
  }
}

export function sendPage(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(text)
}

export function unknownCursor(): AdminProblem {
  return requestProblem([{ path: 'cursor', message: 'is not one that a page has given: leave it out to begin with the first page' }])
}
