// The position of a listing of Redis between two pages: all of it is in the cursor, and none of it is kept here.
import { UnknownCursor } from '../../store.ts'

/** This many characters of a digest distinguish the names in one step of SCAN. */
const markChars = 6
const written = /^(\d{1,5})\.(\d{1,20})\.((?:[\w-]{6}){0,1000})\.(?:([\w-]{6})(\d{1,6}))?$/

/**
 * A server, the cursor of its SCAN, and the names of the next step that were listed. A page may end within a step, which is
 * then repeated. The step may return other names by then, so the listed names are remembered, not their number: no entry
 * that is stored all the time is left out. (SCAN itself may return a name twice when Redis resizes its table.)
 */
export class ScanPlace {
  #server = 0
  #scan = '0'
  #told = ''
  #marks = new Set<string>()
  /** The name that was listed in part, and the number of its listed variants. */
  #partMark = ''
  #partTold = 0

  /** @throws UnknownCursor */
  constructor(cursor: string | undefined) {
    if (cursor === undefined) return
    const [, server, scan, told = '', partMark = '', partTold = '0'] = written.exec(cursor) ?? []
    if (server === undefined || scan === undefined) throw new UnknownCursor()
    this.#server = Number(server)
    this.#scan = scan
    this.#told = told
    for (let at = 0; at < told.length; at += markChars) this.#marks.add(told.slice(at, at + markChars))
    this.#partMark = partMark
    this.#partTold = Number(partTold)
  }

  get server(): number {
    return this.#server
  }

  get scan(): string {
    return this.#scan
  }

  hasTold(digest: string): boolean {
    return this.#marks.has(markOf(digest))
  }

  /** Returns how many variants of a name were listed. */
  toldOf(digest: string): number {
    return markOf(digest) === this.#partMark ? this.#partTold : 0
  }

  /** Records that all variants of the name were listed. */
  tell(digest: string): void {
    const mark = markOf(digest)
    this.#marks.add(mark)
    this.#told += mark
    if (mark === this.#partMark) this.#partMark = ''
  }

  /** Records that the step was listed to its end; `scan` is where the next begins. */
  next(scan: string): void {
    this.#scan = scan
    if (scan === '0') this.#server++
    this.#told = this.#partMark = ''
    this.#marks.clear()
  }

  /** Returns the cursor of a page that ends within a name. */
  within(digest: string, told: number): string {
    return `${this.#written()}${told === 0 ? '' : markOf(digest)}${told === 0 ? '' : told}`
  }

  toString(): string {
    return this.#written()
  }

  #written(): string {
    return `${this.#server}.${this.#scan}.${this.#told}.`
  }
}

function markOf(digest: string): string {
  return digest.slice(0, markChars)
}
