// `Springhouse-Session-Set`: the instruction with which a backend changes a session, parsed strictly.
import { isShallow, mostLevels } from './data.ts'
import { JsonFault, parseJsonBytes, type Json, type JsonObject } from './json.ts'

/** A valid instruction. A member that the backend left out is `undefined`, or false. */
export type Instruction = Change | Logout

export interface Change {
  readonly kind: 'change'
  /** The merge patch (RFC 7396); undefined: the data stays. */
  readonly data: JsonObject | undefined
  readonly login: Login | undefined
  readonly rotate: boolean
  /** The version that the session must have; 0: there is no session. */
  readonly ifVersion: number | undefined
  /** True if the request is sent again when the version differs. */
  readonly retry: boolean
}

export interface Login {
  readonly user: string
  readonly remember: boolean
  /** True if no data is taken over from the session before. */
  readonly fresh: boolean
  readonly label: string | undefined
  readonly transport: Transport
}

export interface Logout {
  readonly kind: 'logout'
  /** Which sessions of the user end. `this` also ends an anonymous session. */
  readonly which: 'this' | 'others' | 'everywhere'
}

/** How a session's secret travels. */
export type Transport = 'cookie' | 'token'

/** The instruction cannot be carried out as it stands. The message is for the log alone. */
export class InstructionFault extends Error {
  override readonly name = 'InstructionFault'
}

const mostUserBytes = 256
const mostLabelBytes = 64
const ofLogin = ['remember', 'fresh', 'label', 'transport'] as const
const known: ReadonlySet<string> = new Set(['data', 'login', ...ofLogin, 'logout', 'if', 'retry', 'rotate'])

/**
 * Parses the lines of the field as Node gives them, one character for each byte.
 * @throws InstructionFault for anything but exactly one valid instruction
 */
export function parseInstruction(lines: readonly string[]): Instruction {
  const [line, another] = lines
  if (line === undefined || another !== undefined) throw new InstructionFault('more than one line')
  const members = parsed(line.trim())
  for (const name of members.keys()) if (!known.has(name)) throw new InstructionFault('unknown member')
  const logout = members.get('logout')
  if (logout !== undefined) {
    if (members.size > 1) throw new InstructionFault('logout is not alone')
    return { kind: 'logout', which: whichSessions(logout) }
  }
  const login = loginOf(members)
  const ifVersion = versionOf(members.get('if'))
  const retry = flagOf(members, 'retry')
  if (members.has('retry') && ifVersion === undefined) throw new InstructionFault('retry without if')
  return { kind: 'change', data: dataOf(members.get('data')), login, rotate: flagOf(members, 'rotate'), ifVersion, retry }
}

function parsed(value: string): ReadonlyMap<string, Json> {
  // RFC 9651 §3.3.5: a byte sequence. Padding may be left out.
  const encoded = /^:([A-Za-z0-9+/]*)(={0,2}):$/.exec(value)
  if (encoded === null && value.startsWith(':')) throw new InstructionFault('not base64')
  const bytes = encoded === null ? Buffer.from(value, 'latin1') : Buffer.from(encoded[1] as string, 'base64')
  try {
    // The instruction is a level of its own, outside the data.
    const json = parseJsonBytes(bytes, mostLevels + 1)
    if (json.kind === 'object') return json.members
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error
    throw new InstructionFault(error.message)
  }
  throw new InstructionFault('not an object')
}

function whichSessions(value: Json): Logout['which'] {
  if (textOf(value) === 'true') return 'this'
  const which = stringOf(value)
  if (which === 'others' || which === 'everywhere') return which
  throw new InstructionFault('logout is neither true, "others" nor "everywhere"')
}

function dataOf(value: Json | undefined): JsonObject | undefined {
  if (value === undefined) return undefined
  if (value.kind !== 'object') throw new InstructionFault('data is not an object')
  if (!isShallow(value)) throw new InstructionFault(`data has more than ${mostLevels} levels`)
  return value
}

function loginOf(members: ReadonlyMap<string, Json>): Login | undefined {
  const given = members.get('login')
  if (given === undefined) {
    if (ofLogin.some(name => members.has(name))) throw new InstructionFault('a member of login without login')
    return undefined
  }
  const user = stringOf(given)
  if (user === undefined || !isName(user, mostUserBytes)) throw new InstructionFault('login is not a name of 1 to 256 bytes')
  const label = stringOf(members.get('label'))
  if (members.has('label') && (label === undefined || !isName(label, mostLabelBytes))) throw new InstructionFault('label is not a text of 1 to 64 bytes')
  const transport = stringOf(members.get('transport'))
  if (members.has('transport') && transport !== 'cookie' && transport !== 'token') throw new InstructionFault('transport is neither "cookie" nor "token"')
  return { user, remember: flagOf(members, 'remember'), fresh: flagOf(members, 'fresh'), label, transport: transport === 'token' ? 'token' : 'cookie' }
}

/** True for a text of 1 to `mostBytes` bytes without control characters. */
export function isName(text: string, mostBytes = mostUserBytes): boolean {
  return text !== '' && Buffer.byteLength(text) <= mostBytes && !/\p{Cc}/u.test(text)
}

function versionOf(value: Json | undefined): number | undefined {
  if (value === undefined) return undefined
  const text = textOf(value)
  const version = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(version)) throw new InstructionFault('if is not a version')
  return version
}

function flagOf(members: ReadonlyMap<string, Json>, name: string): boolean {
  const value = members.get(name)
  if (value === undefined) return false
  const text = textOf(value)
  if (text !== 'true' && text !== 'false') throw new InstructionFault(`${name} is neither true nor false`)
  return text === 'true'
}

function textOf(value: Json): string {
  return value.kind === 'leaf' ? value.text : ''
}

function stringOf(value: Json | undefined): string | undefined {
  return value?.kind === 'leaf' && value.text.startsWith('"') ? (JSON.parse(value.text) as string) : undefined
}
