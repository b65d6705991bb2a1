// The session of one exchange: what its origin receives, what the instruction in the response changes, and what its client receives.
import { SpringhouseError } from '../errors.ts'
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import type { Identified, ResponseAt } from '../exchange/client/identity.ts'
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { isEventStream } from '../http/media-type.ts'
import { isUnsafe, type IdentityRules, type Sharing } from '../policy/identity.ts'
import { instructionField } from '../policy/storable.ts'
import type { LogPosition } from '../policy/stored.ts'
import type { ReadOutcome } from './counters.ts'
import { changesOf } from './data.ts'
import type { SessionParts } from './parts.ts'
import { InstructionFault, parseInstruction, type Change, type Instruction, type Transport } from './instruction.ts'
import type { SessionRecord } from './store/store.ts'
import { isRead, senderLines, type Sender } from './sender.ts'
import { cookieLine, privateFields, unstorableFields, varyingFields, withoutForeignCookies } from './transport.ts'

/** How often a request is sent again because its session has changed. */
const mostRepeats = 5
const markAgainMs = 250
const mostMarkTries = 40

/** The fields by which clients present a session. */
const presenting: readonly string[] = ['Cookie', 'Authorization']

/** The name of this source of identity. */
export const sessionSource = 'session'

/** The result of identifying a request by its session. */
export interface Found {
  readonly outcome: ReadOutcome
  /** undefined: nobody. */
  readonly record: SessionRecord | undefined
  /** How the token came; undefined if none did. */
  readonly by: Transport | undefined
  readonly sharing: Sharing
  /** True for a request with a bearer token: its response may begin a session by a log-in, and nothing else. */
  readonly onlyLogin?: boolean
}

export class SessionExchange implements Identified {
  readonly #parts: SessionParts
  readonly #exchange: RoutedExchange
  readonly #rules: IdentityRules
  readonly #found: Found
  #record: SessionRecord | undefined
  #repeats = 0
  /** Lines for the client: name, value. With any, the response is not stored anywhere. */
  readonly #carried: string[] = []

  constructor(parts: SessionParts, exchange: RoutedExchange, rules: IdentityRules, found: Found) {
    this.#parts = parts
    this.#exchange = exchange
    this.#rules = rules
    this.#found = found
    this.#record = found.record
  }

  get outcome(): ReadOutcome {
    return this.#found.outcome
  }

  get mayRepeat(): boolean {
    return this.#record !== undefined
  }

  needsPosition(status: number): boolean {
    return this.#record !== undefined && status >= 200 && status < 400 && isUnsafe(this.#exchange.routed.request.method) && this.#parts.usesFacets()
  }

  /** The lines that the origin receives. @throws SpringhouseError SESSION_UNAVAILABLE */
  readonly sent = (): FieldLines => {
    if (this.#found.outcome === 'unavailable') return ['springhouse-session-unavailable', '?1']
    const record = this.#record
    return record === undefined ? [] : senderLines(this.#parts, this.#exchange, this.#rules, this.#found.sharing, senderOf(record))
  }

  onResponse({ status, fields, position, repeatable }: ResponseAt): Promise<'done' | 'again'> | undefined {
    const lines = fieldLineValues(fields, instructionField)
    const mark = this.needsPosition(status) ? position : undefined
    if (lines.length > 0) return this.#carryOut(lines, mark, repeatable)
    return mark === undefined || this.#record === undefined ? undefined : this.#mark(this.#record.sid, mark)
  }

  async #carryOut(lines: readonly string[], mark: LogPosition | undefined, repeatable: boolean): Promise<'done' | 'again'> {
    const instruction = this.#read(lines)
    if (this.#found.outcome === 'unavailable') throw new SpringhouseError('SESSION_NOT_WRITTEN')
    if (instruction.kind === 'logout') {
      await this.#logout(instruction.which)
      return 'done'
    }
    try {
      await this.#change(instruction, mark)
      return 'done'
    } catch (error) {
      const isConflict = error instanceof SpringhouseError && error.code === 'SESSION_CONFLICT'
      if (!isConflict || !instruction.retry || !repeatable || this.#record === undefined || this.#repeats >= mostRepeats) throw error
      this.#repeats++
      this.#record = await this.#parts.store.read(this.#record.sid)
      if (this.#record === undefined) throw new SpringhouseError('SESSION_GONE')
      return 'again'
    }
  }

  #read(lines: readonly string[]): Instruction {
    if (this.#rules.facets.length > 0 && this.#record !== undefined && isRead(this.#exchange)) throw invalid('the response is for all with equal facets')
    let instruction: Instruction
    try {
      instruction = parseInstruction(lines)
    } catch (error) {
      throw error instanceof InstructionFault ? invalid(error.message) : error
    }
    const login = instruction.kind === 'change' ? instruction.login : undefined
    if (this.#found.onlyLogin === true && login === undefined) throw invalid('a request with a bearer token has no session; its response may only log in')
    if (login !== undefined && !this.#mayLogin())
      throw invalid(`identity.login is ${this.#rules.login}, and the method is ${this.#exchange.routed.request.method}`)
    return instruction
  }

  #mayLogin(): boolean {
    const { login } = this.#rules
    return login === 'any' || (login === 'unsafe' && isUnsafe(this.#exchange.routed.request.method))
  }

  async #logout(which: 'this' | 'others' | 'everywhere'): Promise<void> {
    const record = this.#record
    // An unknown cookie is not taken back: it may be older than the one that is on its way.
    if (record === undefined) return
    const { counters, sessions } = this.#parts
    await counters.write('logout', sessions.logout(record, which))
    if (which === 'others') return
    if (this.#found.by === 'cookie') this.#takeCookieBack()
    this.#record = undefined
  }

  async #change(change: Change, mark: LogPosition | undefined): Promise<void> {
    const { counters, sessions } = this.#parts
    const { data: patch, login, ifVersion, rotate } = change
    const record = this.#record
    if (login !== undefined) {
      const { token, remembered, absoluteMs } = await counters.write('login', sessions.login(record, this.#rules.realm, login, { patch, ifVersion, mark }))
      this.#carry(token.text, login.transport, remembered ? absoluteMs : undefined)
      // With both a cookie and a token the next request would name nobody.
      if (login.transport === 'token' && this.#found.by === 'cookie' && record !== undefined) this.#takeCookieBack()
      return
    }
    if (record === undefined) return this.#begin(change, mark)
    if (patch !== undefined || ifVersion !== undefined) await counters.write('change', sessions.change(record.sid, record.data, { patch, ifVersion, mark }))
    else if (mark !== undefined) await this.#mark(record.sid, mark)
    if (!rotate) return
    const token = await counters.write('rotate', sessions.rotate(record.sid))
    if (token !== undefined) this.#carry(token.text, record.transport, record.remembered ? record.endsAt - this.#parts.clock.now() : undefined)
  }

  async #begin({ data: patch, ifVersion }: Change, mark: LogPosition | undefined): Promise<void> {
    if (ifVersion !== undefined && ifVersion !== 0) throw new SpringhouseError('SESSION_CONFLICT')
    if (patch === undefined || !changesOf(patch, new Map()).some(({ text }) => text !== undefined)) return
    const { counters, sessions, limit, addressOf } = this.#parts
    if (!limit.take(addressOf(this.#exchange))) {
      await counters.write('begin', Promise.reject(new SpringhouseError('SESSION_LIMIT', { detail: 'sessions.anonymousPerMinute' })))
    }
    const { token, transport } = await counters.write('begin', sessions.begin(this.#rules.realm, { patch, mark }))
    this.#carry(token.text, transport, undefined)
  }

  #carry(token: string, transport: Transport, lifeMs: number | undefined): void {
    if (transport === 'token') this.#carried.push('springhouse-session-token', token)
    else this.#carried.push('set-cookie', cookieLine(this.#parts.cookie, token, lifeMs))
  }

  #takeCookieBack(): void {
    this.#carried.push('set-cookie', cookieLine(this.#parts.cookie, '', 0))
  }

  /** An event stream is about to begin. */
  #cutWhenEnded(): void {
    const { response } = this.#exchange
    const unwatch = this.watchStream(() => response.cut())
    if (unwatch !== undefined) response.onClose(unwatch)
  }

  /** Moves the mark. The origin has made the change, so a failure is not the client's: it is tried again. */
  async #mark(sid: string, mark: LogPosition): Promise<'done'> {
    const { store } = this.#parts
    try {
      await store.mark(sid, mark)
    } catch (cause) {
      this.#exchange.observer.deferred(cause, this.#exchange)
      void markLater(() => store.mark(sid, mark))
    }
    return 'done'
  }

  watchStream(cut: () => void): (() => void) | undefined {
    return this.#record === undefined ? undefined : this.#parts.streams.watch(this.#record.sid, cut)
  }

  clientFields(fields: string[]): string[] {
    if (isEventStream(fields)) this.#cutWhenEnded()
    const own = withoutForeignCookies(fields, this.#parts.cookie.name)
    if (this.#carried.length > 0) return [...unstorableFields(own), ...this.#carried]
    return this.#found.sharing.visitor ? varyingFields(own, presenting) : privateFields(own)
  }
}

/** The exchange of a route that identifies nobody: its origin changes no session, and sets no session cookie. */
export class UnidentifiedExchange implements Identified {
  readonly outcome = 'none'
  readonly mayRepeat = false
  readonly #cookieName: string

  constructor(cookieName: string) {
    this.#cookieName = cookieName
  }

  needsPosition(): boolean {
    return false
  }

  watchStream(): undefined {
    return undefined
  }

  onResponse({ fields }: ResponseAt): Promise<'done'> | undefined {
    return fieldLineValues(fields, instructionField).length === 0 ? undefined : Promise.reject(invalid('the route identifies nobody (sources: [])'))
  }

  clientFields(fields: string[]): string[] {
    return withoutForeignCookies(fields, this.#cookieName)
  }
}

async function markLater(mark: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < mostMarkTries; tries++) {
    await new Promise(resolve => setTimeout(resolve, markAgainMs).unref())
    try {
      return await mark()
    } catch { /* Redis is still out of reach. */ }
  }
}

/** The JSON text of a member of a session's data; `user` is its user. */
export function valueOf({ user, data }: SessionRecord, name: string): string | undefined {
  return name === 'user' ? user && JSON.stringify(user) : data.get(name)
}

function senderOf(record: SessionRecord): Sender {
  return { source: sessionSource, value: name => valueOf(record, name), field: (field, audience) => field.ofSession(record, audience) }
}

function invalid(detail: string): SpringhouseError {
  return new SpringhouseError('SESSION_INSTRUCTION_INVALID', { detail })
}
