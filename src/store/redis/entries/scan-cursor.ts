// Where a listing of Redis stands, between two pages: it is all in the cursor, and nothing of it is kept here.
import { UnknownCursor } from '../../store.ts'

/** So many characters of a digest tell those of one step of SCAN apart. */
const markChars = 6
const written = /^(\d{1,5})\.(\d{1,20})\.((?:[\w-]{6}){0,1000})\.(?:([\w-]{6})(\d{1,6}))?$/

/**
 * A server, the cursor of its SCAN, and which names of the step from there have been told. A page may end within a step,
 * which is then asked for again. It may bring other names by then, so those told are remembered, and not how many they
 * were: nothing that is stored all the while is left out. (SCAN itself may bring a name twice, when Redis resizes its table.)
 */
export class ScanPlace {
  #server = 0
  #scan = '0'
  #told = ''
  #marks = new Set<string>()
  /** The name that has been told in part, and how many of its variants have. */
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

  /** How many variants of a name have been told. */
  toldOf(digest: string): number {
    return markOf(digest) === this.#partMark ? this.#partTold : 0
  }

  /** All variants of the name have been told. */
  tell(digest: string): void {
    const mark = markOf(digest)
    this.#marks.add(mark)
    this.#told += mark
    if (mark === this.#partMark) this.#partMark = ''
  }

  /** The step has been told to its end; `scan` is where the next begins. */
  next(scan: string): void {
    this.#scan = scan
    if (scan === '0') this.#server++
    this.#told = this.#partMark = ''
    this.#marks.clear()
  }

  /** The cursor of a page that ends within a name. */
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
