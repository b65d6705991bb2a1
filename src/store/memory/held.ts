// A stored variant as a lookup of the memory store returns it, and the report of its use.
import type { Metadata } from '../../policy/stored.ts'
import type { Body, Stored } from '../store.ts'
import type { Variant } from './entry.ts'

/** A variant as a lookup returns it. */
export class Held implements Stored {
  readonly meta: Metadata
  readonly body: Body
  readonly #variant: Variant
  readonly #onUse: (variant: Variant, nowMs: number) => void

  constructor(meta: Metadata, body: Body, variant: Variant, onUse: (variant: Variant, nowMs: number) => void) {
    this.meta = meta
    this.body = body
    this.#variant = variant
    this.#onUse = onUse
  }

  used(nowMs: number): void {
    this.#onUse(this.#variant, nowMs)
  }
}
