// `Springhouse-Session`: the signed field by which backends receive a session, kept for half its life.
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import { dataText } from './data.ts'
import { parseJson, mostFieldLevels } from './json.ts'
import { signCompact } from './jws.ts'
import type { Keyring } from './keyring.ts'
import type { SessionRecord } from './store/store.ts'

const typ = 'springhouse-session+jwt'
/** Most characters of fields that are kept. */
const mostChars = 16_777_216

export interface FieldOptions {
  readonly keyring: Keyring
  readonly clock: Clock
  readonly issuer: string
  readonly ttlMs: number
}

/** The content of a bearer token, for a field. */
export interface TokenClaims {
  /** The name of its provider. */
  readonly source: string
  readonly user: string | undefined
  /** In seconds. */
  readonly authTime: number | undefined
  readonly data: string
  /** When it ends, in milliseconds since the epoch. */
  readonly endsMs: number
}

interface Kept {
  readonly value: string
  readonly untilMs: number
}

/** Signs fields. A signature costs more than all else that a request with a session needs, so each is used again. */
export class SessionField {
  readonly #options: FieldOptions
  // The younger and the older half: the older goes as a whole when the younger is full.
  #younger = new Map<string, Kept>()
  #older = new Map<string, Kept>()
  #chars = 0
  #revision = -1

  constructor(options: FieldOptions) {
    this.#options = options
  }

  /** @throws SpringhouseError SESSION_UNAVAILABLE without a key */
  mustBeReady(): void {
    this.#options.keyring.current()
  }

  /**
   * The field for a session.
   * @param audience the name of the origin
   * @throws SpringhouseError SESSION_UNAVAILABLE without a key, or for a damaged record
   */
  ofSession(session: SessionRecord, audience: string): string {
    return this.#kept(`s ${session.sid} ${session.version} ${audience}`, audience, session.endsAt, () => {
      const { sid, version, user, loginAt, endsAt, data } = session
      const text = dataText(data)
      mustBeJson(text)
      const who = user === undefined ? '' : `,"sub":${JSON.stringify(user)},"auth_time":${seconds(loginAt ?? 0)}`
      return `"from":"session","sid":${JSON.stringify(sid)},"ver":${version},"end":${seconds(endsAt)}${who},"data":${text}`
    })
  }

  /**
   * The field for a bearer token of a provider.
   * @param claims its content as JSON texts; `data` is an object
   */
  ofToken({ source, user, authTime, data, endsMs }: TokenClaims, audience: string): string {
    return this.#kept(`t ${source.length}:${source} ${endsMs} ${authTime} ${user} ${data} ${audience}`, audience, endsMs, () => {
      const who = user === undefined ? '' : `,"sub":${user}${authTime === undefined ? '' : `,"auth_time":${authTime}`}`
      return `"from":${JSON.stringify(source)}${who},"data":${data}`
    })
  }

  /** The field for a response that others share: nothing but facets, and their source. @param facets a JSON object */
  ofFacets(facets: string, source: string, audience: string): string {
    return this.#kept(`f ${source.length}:${source} ${facets} ${audience}`, audience, Infinity, () => {
      mustBeJson(facets)
      return `"from":${JSON.stringify(source)},"facets":${facets}`
    })
  }

  #kept(name: string, audience: string, endsAt: number, claims: () => string): string {
    const { keyring, clock, ttlMs } = this.#options
    if (this.#revision !== keyring.revision) this.#forget(keyring.revision)
    const nowMs = clock.now()
    const kept = this.#younger.get(name) ?? this.#older.get(name)
    // A clock that was set back would keep a field for too long.
    if (kept !== undefined && nowMs < kept.untilMs && kept.untilMs - nowMs <= ttlMs / 2) return kept.value
    const value = this.#signed(audience, nowMs, endsAt, claims())
    if (this.#chars + value.length > mostChars / 2) {
      this.#older = this.#younger
      this.#younger = new Map()
      this.#chars = 0
    }
    this.#younger.set(name, { value, untilMs: nowMs + ttlMs / 2 })
    this.#chars += name.length + value.length
    return value
  }

  #forget(revision: number): void {
    this.#revision = revision
    this.#younger = new Map()
    this.#older = new Map()
    this.#chars = 0
  }

  #signed(audience: string, nowMs: number, endsAt: number, claims: string): string {
    const { keyring, issuer, ttlMs } = this.#options
    const expires = seconds(Math.max(nowMs, Math.min(nowMs + ttlMs, endsAt)))
    const payload = `{"iss":${JSON.stringify(issuer)},"aud":${JSON.stringify(audience)},"iat":${seconds(nowMs)},"exp":${expires},${claims}}`
    return signCompact(keyring.current(), typ, payload)
  }
}

/** A text is put into the payload as it is: it must be one JSON value. */
function mustBeJson(text: string): void {
  try {
    parseJson(text, mostFieldLevels)
  } catch (cause) {
    throw new SpringhouseError('SESSION_UNAVAILABLE', { cause, detail: 'a damaged record' })
  }
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
