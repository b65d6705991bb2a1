// Session tokens: a public id that finds the record, and a secret that proves the right to it. Redis keeps a digest of the whole.
import { hash, randomBytes } from 'node:crypto'

export const tokenPrefix = 'shs1'
const idChars = 22
const secretChars = 43
const form = new RegExp(`^${tokenPrefix}[\\w-]{${idChars + secretChars}}$`)

/** A token that was presented: the id of a session, and the digest to compare with the record's. */
export interface PresentedToken {
  readonly sid: string
  /** SHA-256 of the token's text, in base64url. */
  readonly digest: string
}

/** A token that was just made. Its text leaves the process once, in a response. */
export interface NewToken extends PresentedToken {
  readonly text: string
}

/** Makes a token: for a new session, or with another secret for `sid`. */
export function newToken(sid: string = randomBytes(16).toString('base64url')): NewToken {
  const text = `${tokenPrefix}${sid}${randomBytes(32).toString('base64url')}`
  return { sid, text, digest: digestOf(text) }
}

/** Returns what a token's text presents; undefined if it is malformed. */
export function readToken(text: string): PresentedToken | undefined {
  if (!form.test(text)) return undefined
  return { sid: text.slice(tokenPrefix.length, tokenPrefix.length + idChars), digest: digestOf(text) }
}

/** True for a text that may be a session's id. */
export function isSessionId(text: string): boolean {
  return /^[\w-]{22}$/.test(text)
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64url')
}
