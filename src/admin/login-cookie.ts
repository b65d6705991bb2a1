// The cookie of a login at the admin listener: signed with a key that is derived from the token, so that it needs no store.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { withoutOuterSpace } from '../http/white-space.ts'
import { adminCookie } from '../forwarding/admin-cookie.ts'
import type { AdminToken } from './token.ts'

/** A login that a cookie proves. */
export interface Login {
  readonly token: AdminToken
  /** When it ends, in milliseconds since the epoch. */
  readonly expiresMs: number
  /** The value that an unsafe request of this login carries as X-CSRF-Token. */
  readonly csrf: string
}

/** `none`: the request carries no such cookie. `ended`: it proves nothing, and is no guess. `forged`: its signature is wrong. */
export type ReadLogin = Login | 'none' | 'ended' | 'forged'

/** Longer than any cookie that this listener sets. */
const maxCookieChars = 1_024

/**
 * Makes and reads login cookies: `name.expiry.mac`. Name is the token's, in base64url; expiry is in milliseconds since the epoch; mac is an
 * HMAC-SHA256 (RFC 2104) of both. Its key is derived from the token by HKDF (RFC 5869). So each replica takes the cookie of every other,
 * the cookie does not reveal the token, and a token that is removed ends all of its logins.
 */
export class LoginCookies {
  readonly #keys = new WeakMap<AdminToken, { readonly login: Buffer; readonly csrf: Buffer }>()

  /** Returns a cookie's value for a token until `expiresMs`. */
  make(token: AdminToken, expiresMs: number): string {
    const signed = `${encoded(token.name)}.${expiresMs}`
    return `${signed}.${mac(this.#keysOf(token).login, signed)}`
  }

  csrfOf(token: AdminToken, value: string): string {
    return mac(this.#keysOf(token).csrf, value)
  }

  /** Reads the Cookie field of a request. Two cookies of the name prove nothing: another site may have set the second. */
  read(field: string | undefined, tokens: readonly AdminToken[], nowMs: number): ReadLogin {
    const values = valuesOf(field)
    const [value] = values
    if (value === undefined) return 'none'
    const [, name, expiry] = /^([\w-]+)\.(\d{1,15})\.[\w-]{43}$/.exec(value) ?? []
    if (values.length > 1 || name === undefined || expiry === undefined) return 'ended'
    const expiresMs = Number(expiry)
    const named = tokens.filter(token => encoded(token.name) === name)
    if (expiresMs <= nowMs || named.length === 0) return 'ended'
    const token = named.find(each => equal(this.make(each, expiresMs), value))
    return token === undefined ? 'forged' : { token, expiresMs, csrf: this.csrfOf(token, value) }
  }

  #keysOf(token: AdminToken): { readonly login: Buffer; readonly csrf: Buffer } {
    let keys = this.#keys.get(token)
    if (keys === undefined) {
      keys = { login: derived(token.token, 'springhouse admin login 1'), csrf: derived(token.token, 'springhouse admin csrf 1') }
      this.#keys.set(token, keys)
    }
    return keys
  }
}

/** Returns the Set-Cookie value of a login; `value: ''` removes it. @param secure true if the browser reached the listener over HTTPS */
export function setCookieLine(value: string, lifeMs: number, secure: boolean): string {
  return `${adminCookie}=${value}; Path=/; Max-Age=${Math.floor(lifeMs / 1000)}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
}

/** Compares two texts in a time that reveals only their lengths. */
export function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function valuesOf(field: string | undefined): string[] {
  if (field === undefined || !field.includes(adminCookie)) return []
  return field.split(';').flatMap(pair => {
    const equals = pair.indexOf('=')
    if (equals === -1 || withoutOuterSpace(pair, 0, equals) !== adminCookie) return []
    const value = withoutOuterSpace(pair, equals + 1)
    return value === '' || value.length > maxCookieChars ? [] : [value]
  })
}

function encoded(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function derived(token: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', token, '', purpose, 32))
}

function mac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}
