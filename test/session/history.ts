// The judge of a history: the values that each reader of a session may see. It knows nothing of the program: only when each request was
// sent, when its response came, and which writes were acknowledged.

/** A write of a value: sent at `start`, acknowledged at `end`. Infinity: whether and when it was carried out is not known. */
interface Write {
  readonly value: string | undefined
  readonly start: number
  end: number
}

/** A member of a session's data. */
export class Register {
  #writes: Write[] = [{ value: undefined, start: 0, end: 0 }]

  begin(value: string | undefined, start: number): Write {
    const write: Write = { value, start, end: Infinity }
    this.#writes.push(write)
    return write
  }

  /** The write did not happen. */
  drop(write: Write): void {
    this.#writes = this.#writes.filter(each => each !== write)
  }

  /** The values that a read may return: not of a later write, and not of one that an acknowledged write followed before the read. */
  readable(start: number, end: number): (string | undefined)[] {
    return this.#writes.filter(write => write.start < end && !this.#writes.some(later => later.start > write.end && later.end < start)).map(({ value }) => value)
  }

  /** Nothing is in flight any more, and this is the value. */
  settle(value: string | undefined, now: number): void {
    this.#writes = [{ value, start: now, end: now }]
  }
}

/** The data of one person, which goes with it from log-in to log-in. */
export class Data {
  readonly #registers = new Map<string, Register>()

  of(name: string): Register {
    const register = this.#registers.get(name) ?? new Register()
    this.#registers.set(name, register)
    return register
  }

  /** Returns why a read is impossible; [] if it is possible. */
  faults(values: ReadonlyMap<string, string>, start: number, end: number): string[] {
    return [...new Set([...this.#registers.keys(), ...values.keys()])].flatMap(name => {
      const readable = this.of(name).readable(start, end)
      const value = values.get(name)
      return readable.includes(value) ? [] : [`${name} is ${value}, and may be ${[...new Set(readable)].join(' or ')}`]
    })
  }

  settle(values: ReadonlyMap<string, string>, now: number): void {
    for (const [name, register] of this.#registers) register.settle(values.get(name), now)
  }
}

/** The life of one session. */
export class Life {
  /** When the log-in that made it was acknowledged. */
  readonly begun: number
  /** When the first request was sent that may have ended it. */
  #mayEndFrom = Infinity
  /** From here on it has ended for certain. */
  #endedBy = Infinity
  #cause = ''

  constructor(begun: number) {
    this.begun = begun
  }

  get mayHaveEnded(): boolean {
    return this.#mayEndFrom < Infinity
  }

  get hasEnded(): boolean {
    return this.#endedBy < Infinity
  }

  /** Something may end it from now on. */
  mayEnd(start: number): void {
    this.#mayEndFrom = Math.min(this.#mayEndFrom, start)
  }

  /** A response proves that it has ended. @param cause the operation, for the account of a violation */
  ended(end: number, cause = 'an operation'): void {
    if (end >= this.#endedBy) return
    this.#endedBy = end
    this.#cause = cause
  }

  /** Nothing is in flight any more, and it lives: what may have ended it has not. */
  settle(): void {
    this.#mayEndFrom = Infinity
  }

  /** A request read it, or did not find it. Returns why that is impossible; undefined if it is possible. */
  fault(found: boolean, start: number, end: number): string | undefined {
    if (found) return start > this.#endedBy ? `a session that had ended by ${this.#cause} at ${this.#endedBy} is there again` : undefined
    const possible = this.#mayEndFrom < end
    this.ended(end, 'a request that did not find it')
    return possible ? undefined : 'a session is gone that nothing has ended'
  }
}
