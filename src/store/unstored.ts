// The last responses that were not stored, by key: what `explain` shows of them. Written when a fetch ends so, never at a hit.
import { hash } from 'node:crypto'
import { notStoredReasons, type NotStoredReason } from '../policy/reasons.ts'
import type { DecidingField } from '../policy/deciding-field.ts'

/** A response that was fetched and not stored. */
export interface Unstored {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly replica: string
  readonly status: number
  readonly reason: NotStoredReason
  readonly deciding: DecidingField | undefined
}

/** The most responses that are kept of one key, and the most keys. */
export const mostOfKey = 3
export const mostKeys = 10_000

export interface UnstoredLog {
  /** Notes a response that is not stored. Never throws, and never waits. */
  note(key: string, response: Omit<Unstored, 'replica'>): void
  /** Returns the last responses under a key, newest first, at most three. Never rejects: what cannot be read is left out. */
  last(key: string): Promise<readonly Unstored[]>
  close(): void
}

/** Names a key, which may be long. */
export function digestOf(key: string): string {
  return hash('sha256', key, 'base64url').slice(0, 22)
}

/** The responses that this process has noted. The key that was noted longest ago is dropped first. */
export class OwnUnstored implements UnstoredLog {
  readonly #replica: string
  readonly #mostKeys: number
  // As texts, which take a third of the memory of objects.
  readonly #byKey = new Map<string, readonly string[]>()

  constructor(replica: string, most = mostKeys) {
    this.#replica = replica
    this.#mostKeys = most
  }

  note(key: string, response: Omit<Unstored, 'replica'>): void {
    this.noteDigest(digestOf(key), { ...response, replica: this.#replica })
  }

  /** Notes a response, and returns its text. */
  noteDigest(digest: string, response: Unstored): string {
    const text = unstoredText(response)
    const before = this.#byKey.get(digest) ?? []
    // Deleted and set: the map keeps the order in which keys were noted.
    this.#byKey.delete(digest)
    this.#byKey.set(digest, [text, ...before.slice(0, mostOfKey - 1)])
    if (this.#byKey.size > this.#mostKeys) {
      const [oldest] = this.#byKey.keys()
      if (oldest !== undefined) this.#byKey.delete(oldest)
    }
    return text
  }

  async last(key: string): Promise<readonly Unstored[]> {
    return this.ofDigest(digestOf(key))
  }

  ofDigest(digest: string): readonly Unstored[] {
    return (this.#byKey.get(digest) ?? []).flatMap(text => readUnstored(text) ?? [])
  }

  close(): void {
    this.#byKey.clear()
  }
}

/** Returns a response as one line of text. */
export function unstoredText({ atMs, replica, status, reason, deciding }: Unstored): string {
  return JSON.stringify([Math.round(atMs), replica, status, reason, ...(deciding === undefined ? [] : [deciding.of, deciding.field, deciding.value ?? null])])
}

const reasons: ReadonlySet<unknown> = new Set(notStoredReasons)
const isText = (value: unknown, most: number): value is string => typeof value === 'string' && value.length <= most

/** Reads such a text. Returns undefined if it is none: it may come from Redis, where anything may be written. */
export function readUnstored(text: string): Unstored | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts)) return undefined
  const [atMs, replica, status, reason, of, field, value] = parts as unknown[]
  if (!Number.isSafeInteger(atMs) || !isText(replica, 256) || !Number.isInteger(status) || !reasons.has(reason)) return undefined
  const known = { atMs: atMs as number, replica, status: status as number, reason: reason as NotStoredReason }
  if (of === undefined) return { ...known, deciding: undefined }
  if ((of !== 'request' && of !== 'response') || !isText(field, 256) || (value !== null && !isText(value, 256))) return undefined
  return { ...known, deciding: { of, field, ...(value !== null && { value }) } }
}
