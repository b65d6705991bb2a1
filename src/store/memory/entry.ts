// A key of the memory store and its variants, with as few objects and numbers as possible.
import type { Metadata } from '../../policy/stored.ts'
import { BufferBody } from './chunks.ts'
import { decodeMetadata, fitsLatin1, keepUntilOffset, responseTimeOffset } from '../codec.ts'
import type { Evictable, Queue } from './s3-fifo.ts'
import type { Placed, Slab } from './slabs.ts'
import type { Body } from '../store.ts'
import type { DecodedEntry, Decodable } from './decoded-cache.ts'

/** Measured (bench/memory-tier.ts): the cost of a key's objects beside its characters, including the slack of the heap. */
export const keyOverheadBytes = 366
// The largest of small integers. From that time on (2038) each lookup takes the exact path, which is slower and still
// correct.
const neverS = 2 ** 31 - 1

/** All variants of one key: the unit of lookup and eviction. */
export class Node implements Evictable<Node>, Decodable {
  readonly key: string
  /** The number of its slot among all nodes, where `list` continues. */
  slot = -1
  /** The youngest variant; the others follow it. */
  first: Variant | undefined
  /** No variant expires before this. In seconds, because a small integer needs no memory of its own. */
  soonestKeepUntilS = neverS
  charge: number
  hits = 0
  queue: Queue<Node> | undefined
  older: Node | undefined
  newer: Node | undefined
  view: DecodedEntry | undefined

  constructor(key: string) {
    this.key = key
    this.charge = keyOverheadBytes + key.length * (fitsLatin1(key) ? 1 : 2)
  }

  /** Inserts a variant, youngest first; of two of the same age, the later insertion first. */
  insert(variant: Variant): void {
    const responseTimeMs = timeOf(variant, responseTimeOffset)
    let before: Variant | undefined
    let after = this.first
    while (after !== undefined && timeOf(after, responseTimeOffset) > responseTimeMs) {
      before = after
      after = after.next
    }
    variant.next = after
    if (before === undefined) this.first = variant
    else before.next = variant
    this.soonestKeepUntilS = Math.min(this.soonestKeepUntilS, secondsOf(timeOf(variant, keepUntilOffset)))
  }

  /** Removes a variant. It keeps its `next`, so that an iteration can go on. */
  take(variant: Variant): void {
    let before: Variant | undefined
    this.soonestKeepUntilS = neverS
    for (let at = this.first; at !== undefined; at = at.next) {
      if (at === variant) {
        if (before === undefined) this.first = at.next
        else before.next = at.next
      } else {
        this.soonestKeepUntilS = Math.min(this.soonestKeepUntilS, secondsOf(timeOf(at, keepUntilOffset)))
        before = at
      }
    }
  }
}

/** A stored response. Its metadata, and its body if small, are in a slab. */
export class Variant implements Placed {
  readonly node: Node
  readonly name: string
  next: Variant | undefined
  slab: Slab | undefined
  offset = 0
  length = 0
  metaBytes = 0
  body: Body | undefined
  bodyBytes = 0
  charge = 0
  /** The number of its last use or commit among all of this store: the lowest of a key is the least recently used. */
  lastUse = 0
  /** The period in which its use was last reported to the shared tier; -1: since the last commit it was not. */
  reportedIn = -1

  constructor(node: Node, name: string) {
    this.node = node
    this.name = name
  }
}

/** Returns the variant with that name. */
export function variantOf(node: Node, name: string): Variant | undefined {
  let variant = node.first
  while (variant !== undefined && variant.name !== name) variant = variant.next
  return variant
}

/** Counts the variants of a key. */
export function countOf(node: Node): number {
  let count = 0
  for (let variant = node.first; variant !== undefined; variant = variant.next) count++
  return count
}

/** Decodes the metadata of a variant. */
export function metadataOf(variant: Variant): Metadata | undefined {
  const { slab, offset, metaBytes } = variant
  return slab === undefined ? undefined : decodeMetadata(slab.buffer, offset, offset + metaBytes, true)
}

function secondsOf(ms: number): number {
  return Math.min(neverS, Math.floor(ms / 1000))
}

/** Reads a time from the encoded metadata: stored only there, it needs no memory of its own. */
export function timeOf(variant: Variant, offset: number): number {
  return variant.slab === undefined ? 0 : variant.slab.buffer.readDoubleLE(variant.offset + offset)
}

/** Returns a body that is in a slab. */
export function bytesOf(variant: Variant): Buffer {
  const { slab, offset, metaBytes, length } = variant
  return slab === undefined ? Buffer.alloc(0) : slab.buffer.subarray(offset + metaBytes, offset + length)
}

/** Returns the body of a variant. */
export function bodyOf(variant: Variant): Body {
  return variant.body ?? new BufferBody(bytesOf(variant))
}

/** Copies a string: a slice of a request's string would keep the whole string alive. */
export function flat(value: string): string {
  if (value === '') return value
  const encoding = fitsLatin1(value) ? 'latin1' : 'utf16le'
  return Buffer.from(value, encoding).toString(encoding)
}
