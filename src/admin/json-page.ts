// A page of a list as JSON text, serialised member by member, so that the end of the page needs no long turn.
import type { FastifyReply } from 'fastify'
import { requestProblem, type AdminProblem } from './problems.ts'

/** Longer than any cursor. */
export const maxCursorChars = 8_192

/** The approximate characters of a page. The page ends with the member that reaches this. */
const mostChars = 1_048_576

/** A JSON object with one array and an optional cursor. */
export class JsonPage {
  readonly #members: string[] = []
  #chars = 0

  /** The characters of the members so far. */
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

  /** @param cursor the cursor of the next page; undefined on the last page */
  toText(name: string, cursor: string | undefined): string {
    return `{${JSON.stringify(name)}:[${this.#members.join(',')}]${cursor === undefined ? '' : `,"cursor":${JSON.stringify(cursor)}`}}`
  }
}

export function sendPage(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(text)
}

export function unknownCursor(): AdminProblem {
  return requestProblem([{ path: 'cursor', message: 'is not a cursor of an earlier page: leave it out to begin with the first page' }])
}
