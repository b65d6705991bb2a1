// The encoding of a stored response as the value of a field in Redis, and the names of its keys.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Metadata } from '../../../policy/stored.ts'
import { decodeMetadata, encodedLength, encodeMetadata, fitsLatin1, metadataVersion } from '../../codec.ts'

// 0 u8 version; 1 metadata (codec.ts). Then u8 kind of body, u8 encoding of the key, u32 length of the key's bytes, the key.
// Then the body itself (inline), or u32 count, u32 bytes of a chunk, 22 bytes of id (in chunks). Then a checksum of
// everything after the metadata, which has its own and is replaced alone. The scripts read the same: see scripts.ts.
/** A value of another version reads as absent. Version 2 added checksums. */
export const version = 2
const inline = 0
const chunked = 1
const idBytes = 22
export const checksumBytes = 4

/** A body that is stored in chunks beside its value. */
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

/** Returns the head of a value, version and metadata, which a refresh replaces. */
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
  const rest = [middle, keyBytes, Buffer.isBuffer(body) ? body : encodeChunks(body)]
  return Buffer.concat([encodeHead(meta, bodyBytes), ...rest, checksum(rest.reduce((sum, bytes) => crc32(bytes, sum), 0))])
}

function encodeChunks({ count, chunkBytes, id }: Chunks): Buffer {
  const bytes = Buffer.alloc(8 + idBytes)
  bytes.writeUInt32LE(count, 0)
  bytes.writeUInt32LE(chunkBytes, 4)
  bytes.write(id, 8, 'latin1')
  return bytes
}

function checksum(sum: number): Buffer {
  const bytes = Buffer.allocUnsafe(checksumBytes)
  bytes.writeUInt32LE(sum)
  return bytes
}

/** Decodes a value. Undefined if it is damaged, of another version, out of its domain, or not ours at all. Never throws. */
export function decodeValue(bytes: Buffer): Value | undefined {
  if (bytes[0] !== version) return undefined
  const metaBytes = encodedLength(bytes, 1)
  if (metaBytes === undefined) return undefined
  const meta = decodeMetadata(bytes, 1, 1 + metaBytes)
  const middle = 1 + metaBytes
  const end = bytes.length - checksumBytes
  if (meta === undefined || end < middle + 6 || crc32(bytes.subarray(middle, end)) !== bytes.readUInt32LE(end)) return undefined
  const keyStart = middle + 6
  const keyBytes = bytes.readUInt32LE(middle + 2)
  const bodyStart = keyStart + keyBytes
  const encoding = bytes[middle + 1] as number
  if (bodyStart > end || encoding > 1 || (encoding === 1 && keyBytes % 2 === 1)) return undefined
  const key = bytes.toString(encoding === 0 ? 'latin1' : 'utf16le', keyStart, bodyStart)
  const body = decodeBody(bytes[middle], bytes.subarray(bodyStart, end), meta.bodyBytes)
  return body === undefined ? undefined : { key, meta, body }
}

// The length must equal the metadata's: an incomplete entry reads as absent.
function decodeBody(kind: number | undefined, bytes: Buffer, bodyBytes: number): Buffer | Chunks | undefined {
  if (kind === inline) return bytes.length === bodyBytes ? bytes : undefined
  if (kind !== chunked || bytes.length !== 8 + idBytes) return undefined
  const count = bytes.readUInt32LE(0)
  const chunkBytes = bytes.readUInt32LE(4)
  const id = bytes.toString('latin1', 8)
  if (chunkBytes < shortestChunk || chunkBytes > longestChunk || count === 0 || count !== Math.ceil(bodyBytes / chunkBytes) || !chunkId.test(id)) return undefined
  return { id, count, chunkBytes }
}

// Another version may have chosen other sizes. Reading needs memory for whole chunks, and a command for each.
const shortestChunk = 16_384
const longestChunk = 16_777_216
const chunkId = /^[\w-]{22}$/

/**
 * True if a value that does not decode has this version, so that it can never be read. Values of other versions are left to
 * the programs that wrote them.
 */
export function isSpoilt(bytes: Buffer): boolean {
  return bytes[0] === version && bytes[1] === metadataVersion
}

/**
 * Returns the Redis key of a primary cache key. No part of it is under a client's control, and the braces keep the entry and
 * its chunks in one slot of a cluster.
 */
export function entryName(prefix: string, key: string): string {
  const bytes = fitsLatin1(key) ? Buffer.from(key, 'latin1') : Buffer.concat([Buffer.from([0]), Buffer.from(key, 'utf16le')])
  return `${prefix}:{${createHash('sha256').update(bytes).digest('base64url')}}`
}

/** Returns the field of a variant. */
export function fieldName(variant: string): string {
  return variant === '' ? '-' : createHash('sha256').update(Buffer.from(variant, 'utf16le')).digest('base64url')
}

export function chunkName(entry: string, id: string, number: number): string {
  return `${entry}:b:${id}:${number}`
}

/** Allocates a chunk and the checksum that `sealChunk` appends. */
export function newChunk(chunkBytes: number): Buffer {
  return Buffer.allocUnsafeSlow(chunkBytes + checksumBytes)
}

/**
 * Returns the value of a chunk whose first `used` bytes are filled. Its checksum covers its name too: a chunk in another's
 * place is invalid.
 */
export function sealChunk(name: string, chunk: Buffer, used: number): Buffer {
  chunk.writeUInt32LE(crc32(chunk.subarray(0, used), crc32(name)), used)
  return chunk.subarray(0, used + checksumBytes)
}

/** Returns the bytes of a chunk; undefined if the value is damaged, or is another chunk. */
export function openChunk(name: string, value: unknown): Buffer | undefined {
  if (!Buffer.isBuffer(value) || value.length < checksumBytes) return undefined
  const used = value.length - checksumBytes
  const bytes = value.subarray(0, used)
  return crc32(bytes, crc32(name)) === value.readUInt32LE(used) ? bytes : undefined
}
