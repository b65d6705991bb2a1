// How one stored response looks as the value of a field in Redis, and what its keys are called.
import { createHash } from 'node:crypto'
import type { Metadata } from '../../policy/stored.ts'
import { decodeMetadata, encodedLength, encodeMetadata, fitsLatin1 } from '../codec.ts'

// 0 u8 version; 1 metadata (codec.ts); then u8 kind of body, u8 encoding of the key, u32 length of the key's bytes,
// the key; then the body itself (inline), or u32 count, u32 bytes of a chunk, 22 bytes of id (in chunks).
// The scripts read the same: see scripts.ts.
const version = 1
const inline = 0
const chunked = 1
const idBytes = 22

/** A body that is kept in chunks beside its value. */
export interface Chunks {
  readonly id: string
  readonly count: number
  readonly chunkBytes: number
}

/** A decoded value. */
export interface Value {
  readonly key: string
  readonly meta: Metadata
  readonly body: Buffer | Chunks
}

/** The first part of a value, version and metadata: what a refresh replaces. */
export function encodeHead(meta: Metadata, bodyBytes: number): Buffer {
  return Buffer.concat([Buffer.from([version]), encodeMetadata(meta, bodyBytes)])
}

export function encodeValue(key: string, meta: Metadata, bodyBytes: number, body: Buffer | Chunks): Buffer {
  const latin1 = fitsLatin1(key)
  const keyBytes = Buffer.from(key, latin1 ? 'latin1' : 'utf16le')
  const middle = Buffer.allocUnsafe(6)
  middle[0] = Buffer.isBuffer(body) ? inline : chunked
  middle[1] = latin1 ? 0 : 1
  middle.writeUInt32LE(keyBytes.length, 2)
  if (Buffer.isBuffer(body)) return Buffer.concat([encodeHead(meta, bodyBytes), middle, keyBytes, body])
  const chunks = Buffer.alloc(8 + idBytes)
  chunks.writeUInt32LE(body.count, 0)
  chunks.writeUInt32LE(body.chunkBytes, 4)
  chunks.write(body.id, 8, 'latin1')
  return Buffer.concat([encodeHead(meta, bodyBytes), middle, keyBytes, chunks])
}

/** undefined where the value is damaged, of another version, or not one of ours at all. Never throws. */
export function decodeValue(bytes: Buffer): Value | undefined {
  if (bytes[0] !== version) return undefined
  const metaBytes = encodedLength(bytes, 1)
  if (metaBytes === undefined) return undefined
  const meta = decodeMetadata(bytes, 1, 1 + metaBytes)
  const middle = 1 + metaBytes
  if (meta === undefined || bytes.length < middle + 6) return undefined
  const keyStart = middle + 6
  const bodyStart = keyStart + bytes.readUInt32LE(middle + 2)
  if (bodyStart > bytes.length) return undefined
  const key = bytes.toString(bytes[middle + 1] === 0 ? 'latin1' : 'utf16le', keyStart, bodyStart)
  const body = decodeBody(bytes[middle], bytes.subarray(bodyStart), meta.bodyBytes)
  return body === undefined ? undefined : { key, meta, body }
}

// The length must be what the metadata says: half an entry is no entry.
function decodeBody(kind: number | undefined, bytes: Buffer, bodyBytes: number): Buffer | Chunks | undefined {
  if (kind === inline) return bytes.length === bodyBytes ? bytes : undefined
  if (kind !== chunked || bytes.length !== 8 + idBytes) return undefined
  const count = bytes.readUInt32LE(0)
  const chunkBytes = bytes.readUInt32LE(4)
  if (chunkBytes === 0 || count !== Math.ceil(bodyBytes / chunkBytes)) return undefined
  return { id: bytes.toString('latin1', 8), count, chunkBytes }
}

/**
 * The Redis key of a primary cache key: nothing that a client controls is in a name, and the braces put the entry and its
 * chunks in one slot of a cluster.
 */
export function entryName(prefix: string, key: string): string {
  const bytes = fitsLatin1(key) ? Buffer.from(key, 'latin1') : Buffer.concat([Buffer.from([0]), Buffer.from(key, 'utf16le')])
  return `${prefix}:{${createHash('sha256').update(bytes).digest('base64url')}}`
}

/** The field of a variant. */
export function fieldName(variant: string): string {
  return variant === '' ? '-' : createHash('sha256').update(Buffer.from(variant, 'utf16le')).digest('base64url')
}

export function chunkName(entry: string, id: string, number: number): string {
  return `${entry}:b:${id}:${number}`
}
