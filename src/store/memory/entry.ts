// One key of the memory store, and one variant of it: as few objects and numbers as will do.
import type { Metadata } from '../../policy/stored.ts'
import { BufferBody } from './chunks.ts'
import { decodeMetadata, fitsLatin1, keepUntilOffset, responseTimeOffset } from '../codec.ts'
import type { Evictable, Queue } from './s3-fifo.ts'
import type { Placed, Slab } from './slabs.ts'
import type { Body } from '../store.ts'
import type { DecodedEntry, Decodable } from './decoded-cache.ts'

/** Measured (bench/memory-tier.ts): what the objects of a key cost beside its characters, the slack of the heap included. */
export const keyOverheadBytes = 366
// The largest of small integers: from then on (2038) each look takes the exact way, which is slower and no less right.
const neverS = 2 ** 31 - 1

/** All variants of one key: what is looked up, and what is evicted. */
export class Node implements Evictable<Node>, Decodable {
  readonly key: string
  /** The number of its place among all nodes: where `list` goes on. */
  slot = -1
  /** The youngest variant; the others follow it. */
  first: Variant | undefined
  /** No variant is past its keepUntil before this; in seconds, since a small integer costs no memory of its own. */
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

  /** Puts a variant among the others, the youngest first; of two of an age, the later comer. */
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

  /** Takes a variant out; it keeps its `next`, so that a walk over them may go on. */
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

/** One stored response: its metadata, and its body if that is small, lie in a slab. */
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

  constructor(node: Node, name: string) {
    this.node = node
    this.name = name
  }
}

/** The variant of that name. */
export function variantOf(node: Node, name: string): Variant | undefined {
  let variant = node.first
  while (variant !== undefined && variant.name !== name) variant = variant.next
  return variant
}

/** How many variants there are of a key. */
export function countOf(node: Node): number {
  let count = 0
  for (let variant = node.first; variant !== undefined; variant = variant.next) count++
  return count
}

/** Its metadata, decoded anew. */
export function metadataOf(variant: Variant): Metadata | undefined {
  const { slab, offset, metaBytes } = variant
  return slab === undefined ? undefined : decodeMetadata(slab.buffer, offset, offset + metaBytes, true)
}

function secondsOf(ms: number): number {
  return Math.min(neverS, Math.floor(ms / 1000))
}

/** A time out of the encoded metadata: kept there alone, it costs no memory of its own. */
export function timeOf(variant: Variant, offset: number): number {
  return variant.slab === undefined ? 0 : variant.slab.buffer.readDoubleLE(variant.offset + offset)
}

/** A body that lies in a slab. */
export function bytesOf(variant: Variant): Buffer {
  const { slab, offset, metaBytes, length } = variant
  return slab === undefined ? Buffer.alloc(0) : slab.buffer.subarray(offset + metaBytes, offset + length)
}

/** Its body, wherever that is. */
export function bodyOf(variant: Variant): Body {
  return variant.body ?? new BufferBody(bytesOf(variant))
}

/** A string of its own: one that was cut out of a request's would keep all of that alive. */
export function flat(value: string): string {
  if (value === '') return value
  const encoding = fitsLatin1(value) ? 'latin1' : 'utf16le'
  return Buffer.from(value, encoding).toString(encoding)
}
