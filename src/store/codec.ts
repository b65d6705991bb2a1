// Encodes metadata as bytes and decodes it: the form in which every store keeps it.
import { crc32 } from 'node:zlib'
import type { FieldLines } from '../http/fields.ts'
import { isPossible } from '../policy/domain.ts'
import { lifetimeSources, type Metadata, type Part, type Selecting } from '../policy/stored.ts'
import { wordAt, wordNumber } from './codec-dictionary.ts'

// A fixed part, then the length of each string (variable-length integers), then the bytes of all strings in one run, then a
// checksum. A single native call turns the run into one string, whose slices are the parts: this makes it several times
// faster than JSON (bench/codec.ts). The numbers that Redis scripts compare are at fixed offsets.
//
//   0 u8 version   1 u8 flags   2 u16 status   4 u32 total length   8 u32 offset of the text
//  12 f64 requestTimeMs   20 f64 responseTimeMs   28 f64 keepUntilMs   36 …
// The stamp is the first string, for the scripts compare it too: its length is the first number, its bytes begin the text.
/** An entry of another version reads as absent. 2: parts. 3: the stamp comes first. 4: the source of the lifetime, and credentials. 5: tags as text, and public hosts. */
export const metadataVersion = 5
const fixedBytes = 36
const checksumBytes = 4

/** Offsets from 0 of the little-endian doubles that the scripts in Redis compare. */
export const requestTimeOffset = 12
export const responseTimeOffset = 20
export const keepUntilOffset = 28
export const textStartOffset = 8
export const firstNumberOffset = fixedBytes

// The last three bits are the place of the lifetime's source in `lifetimeSources`.
const sourceBits = 7
const alwaysValidateFlag = 8
const neverStaleFlag = 16
const authorizationFlag = 32
const cookieFlag = 64
const allFlags = sourceBits | alwaysValidateFlag | neverStaleFlag | authorizationFlag | cookieFlag

// The number of a string: its last two bits are its kind, the rest its length or its number in the dictionary.
const latin1 = 0
const utf16 = 1
const word = 2

// Buffers of an encoding. Nothing here outlives a call: encoding is synchronous.
const numbers: number[] = []
const texts: string[] = []
let textBytes = 0

function putString(value: string): void {
  const known = wordNumber(value)
  if (known !== undefined) {
    numbers.push(known * 4 + word)
    return
  }
  const kind = fitsLatin1(value) ? latin1 : utf16
  numbers.push(value.length * 4 + kind)
  texts.push(value)
  textBytes += kind === latin1 ? value.length : value.length * 2
}

// Encodes a duration or a length: twice the number if it is a whole number, as nearly always; else 1 and a string.
function putQuantity(value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value < 2 ** 50 && !Object.is(value, -0)) {
    numbers.push(value * 2)
    return
  }
  numbers.push(1)
  putString(Object.is(value, -0) ? '-0' : String(value))
}

/** True if every character fits in a byte. Characters of received fields do, as Node reads them. */
export function fitsLatin1(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) > 0xff) return false
  }
  return true
}

// Encodes a validator. It nearly always repeats a field's value, so the number of that line suffices. 0: undefined; 1: a
// string follows; n + 2: the value of line n.
function putReference(fields: FieldLines, name: string, value: string | undefined): void {
  if (value === undefined) {
    numbers.push(0)
    return
  }
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i] === name && fields[i + 1] === value) {
      numbers.push(i / 2 + 2)
      return
    }
  }
  numbers.push(1)
  putString(value)
}

function putStrings(values: readonly string[]): void {
  numbers.push(values.length)
  for (const value of values) putString(value)
}

function putLines(lines: FieldLines): void {
  numbers.push(lines.length >>> 1)
  for (let i = 0; i + 1 < lines.length; i += 2) {
    putString(lines[i] as string)
    putString(lines[i + 1] as string)
  }
}

// 0 for none. Else the number of ranges plus one, each range as start and length, and the length of the whole if known.
function putPart(part: Part | undefined): void {
  numbers.push(part === undefined ? 0 : part.ranges.length + 1)
  if (part === undefined) return
  for (const { start, end } of part.ranges) {
    putQuantity(start)
    putQuantity(end - start)
  }
  numbers.push(part.complete === undefined ? 0 : 1)
  if (part.complete !== undefined) putQuantity(part.complete)
  putString(part.requestedRange)
}

/** Returns the bytes of metadata, with `bodyBytes` as the length of the body. Equal metadata always gives equal bytes. */
export function encodeMetadata(meta: Metadata, bodyBytes: number = meta.bodyBytes): Buffer {
  numbers.length = 0
  texts.length = 0
  textBytes = 0
  const { fields, vary, tags } = meta
  putString(meta.stamp)
  putQuantity(bodyBytes)
  putQuantity(meta.initialAgeMs)
  putQuantity(meta.lifetimeMs)
  putQuantity(meta.staleWhileRevalidateMs)
  numbers.push(meta.staleIfErrorMs === undefined ? 0 : 1)
  if (meta.staleIfErrorMs !== undefined) putQuantity(meta.staleIfErrorMs)
  putLines(fields)
  putLines(meta.cacheOnlyFields)
  putReference(fields, 'etag', meta.etag)
  putReference(fields, 'last-modified', meta.lastModified)
  numbers.push(vary.length)
  for (const [name, value] of vary) {
    putString(name)
    numbers.push(value === null ? 0 : 1)
    if (value !== null) putString(value)
  }
  putStrings(tags)
  putString(meta.variant)
  putString(meta.authority)
  putStrings(meta.publicHosts)
  putString(meta.target)
  putPart(meta.part)

  let numberBytes = 0
  for (const number of numbers) numberBytes += varintBytes(number)
  const textStart = fixedBytes + numberBytes
  const length = textStart + textBytes + checksumBytes
  const bytes = Buffer.allocUnsafe(length)
  bytes[0] = metadataVersion
  bytes[1] = lifetimeSources.indexOf(meta.lifetimeSource) | (meta.alwaysValidate ? alwaysValidateFlag : 0) |
    (meta.neverStale ? neverStaleFlag : 0) | (meta.hadAuthorization ? authorizationFlag : 0) | (meta.hadCookie ? cookieFlag : 0)
  bytes.writeUInt16LE(meta.status, 2)
  bytes.writeUInt32LE(length, 4)
  bytes.writeUInt32LE(textStart, textStartOffset)
  bytes.writeDoubleLE(meta.requestTimeMs, requestTimeOffset)
  bytes.writeDoubleLE(meta.responseTimeMs, responseTimeOffset)
  bytes.writeDoubleLE(meta.keepUntilMs, keepUntilOffset)
  let at = fixedBytes
  for (const number of numbers) at = writeVarint(bytes, at, number)
  for (const text of texts) at += bytes.write(text, at, fitsLatin1(text) ? 'latin1' : 'utf16le')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at)
  texts.length = 0
  return bytes
}

/** Returns the length of the metadata at `start`, as its head states it; undefined if that is impossible. */
export function encodedLength(bytes: Buffer, start: number): number | undefined {
  if (bytes.length - start < fixedBytes + checksumBytes || bytes[start] !== metadataVersion) return undefined
  const length = bytes.readUInt32LE(start + 4)
  return length < fixedBytes + checksumBytes || length > bytes.length - start ? undefined : length
}

// The state of a decoding. Nothing here outlives a call either.
let source: Buffer
let text = ''
let numberAt = 0
let numberEnd = 0
let textAt = 0
let textOrigin = 0

class Damaged extends Error {}

function takeNumber(): number {
  let value = 0
  let scale = 1
  for (;;) {
    if (numberAt >= numberEnd) throw new Damaged()
    const byte = source[numberAt++] as number
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
}

// Reads a count of items that take at least a byte each: no larger than the number of bytes left.
function takeCount(): number {
  const count = takeNumber()
  if (count > numberEnd - numberAt) throw new Damaged()
  return count
}

function takeString(): string {
  const number = takeNumber()
  const kind = number % 4
  const size = (number - kind) / 4
  if (kind === latin1) {
    const end = textAt + size
    if (end > text.length) throw new Damaged()
    const value = text.slice(textAt, end)
    textAt = end
    return value
  }
  if (kind === utf16) {
    const end = textAt + size * 2
    if (end > text.length) throw new Damaged()
    const value = source.toString('utf16le', textOrigin + textAt, textOrigin + end)
    textAt = end
    return value
  }
  const known = kind === word ? wordAt(size) : undefined
  if (known === undefined) throw new Damaged()
  return known
}

function takeStrings(): string[] {
  const values: string[] = []
  for (let left = takeCount(); left > 0; left--) values.push(takeString())
  return values
}

function takeLines(): string[] {
  const lines: string[] = []
  for (let left = takeCount(); left > 0; left--) lines.push(takeString(), takeString())
  return lines
}

function takeQuantity(): number {
  const number = takeNumber()
  return number % 2 === 0 ? number / 2 : Number(takeString())
}

function takeReference(fields: FieldLines): string | undefined {
  const reference = takeNumber()
  if (reference === 0) return undefined
  if (reference === 1) return takeString()
  const value = fields[(reference - 2) * 2 + 1]
  if (value === undefined) throw new Damaged()
  return value
}

function takePart(): Part | undefined {
  const count = takeCount()
  if (count === 0) return undefined
  const ranges: { start: number; end: number }[] = []
  for (let left = count - 1; left > 0; left--) {
    const start = takeQuantity()
    ranges.push({ start, end: start + takeQuantity() })
  }
  return { ranges, complete: takeNumber() === 0 ? undefined : takeQuantity(), requestedRange: takeString() }
}

/**
 * Decodes the metadata in `bytes` from `start` to `end`. Undefined if it is damaged, truncated, of another version, or
 * impossible for a response. Never throws. `trusted`: the bytes never left this process, so checksum and domain are not
 * checked.
 */
export function decodeMetadata(bytes: Buffer, start = 0, end = bytes.length, trusted = false): Metadata | undefined {
  const length = encodedLength(bytes, start)
  if (length === undefined || length !== end - start) return undefined
  const textEnd = end - checksumBytes
  if (!trusted && crc32(bytes.subarray(start, textEnd)) !== bytes.readUInt32LE(textEnd)) return undefined
  const textStart = start + bytes.readUInt32LE(start + textStartOffset)
  if (textStart < start + fixedBytes || textStart > textEnd) return undefined
  if (!trusted && ((bytes[start + 1] as number) & ~allFlags) !== 0) return undefined
  try {
    const meta = decodeParts(bytes, start, textStart, textEnd)
    return trusted || isPossible(meta) ? meta : undefined
  } catch (error) {
    if (error instanceof Damaged) return undefined
    throw error
  }
}

function decodeParts(bytes: Buffer, start: number, textStart: number, textEnd: number): Metadata {
  source = bytes
  numberAt = start + fixedBytes
  numberEnd = textStart
  textOrigin = textStart
  textAt = 0
  text = bytes.toString('latin1', textStart, textEnd)

  const stamp = takeString()
  const bodyBytes = takeQuantity()
  const initialAgeMs = takeQuantity()
  const lifetimeMs = takeQuantity()
  const staleWhileRevalidateMs = takeQuantity()
  const staleIfErrorMs = takeNumber() === 0 ? undefined : takeQuantity()
  const fields = takeLines()
  const cacheOnlyFields = takeLines()
  const etag = takeReference(fields)
  const lastModified = takeReference(fields)
  const vary: Selecting[] = []
  for (let left = takeCount(); left > 0; left--) vary.push([takeString(), takeNumber() === 0 ? null : takeString()])
  const tags = takeStrings()
  const variant = takeString()
  const authority = takeString()
  const publicHosts = takeStrings()
  const target = takeString()
  const part = takePart()
  const flags = bytes[start + 1] as number
  const lifetimeSource = lifetimeSources[flags & sourceBits]
  if (lifetimeSource === undefined) throw new Damaged()
  return {
    status: bytes.readUInt16LE(start + 2),
    fields,
    cacheOnlyFields,
    requestTimeMs: bytes.readDoubleLE(start + requestTimeOffset),
    responseTimeMs: bytes.readDoubleLE(start + responseTimeOffset),
    initialAgeMs,
    lifetimeMs,
    lifetimeSource,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    alwaysValidate: (flags & alwaysValidateFlag) !== 0,
    neverStale: (flags & neverStaleFlag) !== 0,
    hadAuthorization: (flags & authorizationFlag) !== 0,
    hadCookie: (flags & cookieFlag) !== 0,
    etag,
    lastModified,
    vary,
    variant,
    authority,
    publicHosts,
    target,
    tags,
    stamp,
    keepUntilMs: bytes.readDoubleLE(start + keepUntilOffset),
    bodyBytes,
    part,
  }
}

function varintBytes(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++
  return size
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 128) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}
