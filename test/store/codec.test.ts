// Metadata as bytes: nothing is lost, and damaged bytes are never taken for whole ones.
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import t from 'tap'
import { isPossible } from '../../src/policy/domain.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import { decodeMetadata, encodedLength, encodeMetadata } from '../../src/store/codec.ts'
import { anyMetadata, metadata, possibleMetadata } from '../support/metadata.ts'

void t.test('any metadata of this process comes back as it was', async (test) => {
  fc.assert(fc.property(anyMetadata, (meta) => {
    const bytes = encodeMetadata(meta)
    test.strictSame(decodeMetadata(bytes, 0, bytes.length, true), meta)
    test.equal(decodeMetadata(bytes) !== undefined, isPossible(meta), 'from elsewhere what no response could have reads as absent')
    test.ok(encodeMetadata(structuredClone(meta)).equals(bytes), 'the same metadata gives the same bytes')
  }), { numRuns: 300 })
})

void t.test('any metadata that a response could have comes back from elsewhere, every byte that a field may hold included', async (test) => {
  fc.assert(fc.property(possibleMetadata, (meta) => {
    const bytes = encodeMetadata(meta)
    test.strictSame(decodeMetadata(bytes), meta)
  }), { numRuns: 500 })
})

/** Changes that make metadata impossible for a response, each alone. */
const impossible: Readonly<Record<string, Partial<Metadata>>> = {
  'status 999': { status: 999 },
  'status 101': { status: 101 },
  'status 0': { status: 0 },
  'status 600': { status: 600 },
  'status 304': { status: 304, bodyBytes: 0 },
  'status 429': { status: 429 },
  '206 without a part': { status: 206 },
  'a part that is a 200': { part: { ranges: [{ start: 0, end: 1 }], complete: 2, requestedRange: 'bytes=0-0' } },
  'a body on 204': { status: 204, bodyBytes: 5 },
  'a body on 205': { status: 205, bodyBytes: 5 },
  ...Object.fromEntries(
    (['requestTimeMs', 'responseTimeMs', 'keepUntilMs', 'initialAgeMs', 'lifetimeMs', 'staleWhileRevalidateMs', 'staleIfErrorMs'] as const).flatMap(name =>
      [Number.NaN, -1, Infinity, -Infinity, 1e300].map(value => [`${name} ${value}`, { [name]: value }])
    ),
  ),
  ...Object.fromEntries([Number.NaN, -1, 1.5, Infinity, 2 ** 60].map(value => [`bodyBytes ${value}`, { bodyBytes: value }])),
  ...Object.fromEntries([
    ['etag', '"a"', 'etag', '"b"'],
    ['content-type', 'a', 'content-type', 'a'],
    ['content-length', '5'],
    ['content-length', '5', 'content-length', '6'],
    ['transfer-encoding', 'chunked'],
    ['connection', 'x'],
    ['keep-alive', '1'],
    ['upgrade', 'h2c'],
    ['te', 'x'],
    ['trailer', 'x'],
    ['proxy-authenticate', 'x'],
    [':status', '200'],
    ['X', '1'],
    ['', '1'],
    ['x y', '1'],
    ['x\r\ny', '1'],
    ['x', 'a\r\nb: c'],
    ['x', 'a\0'],
    ['x', ' a'],
    ['x', 'a '],
    ['x', '\u0100'],
    ['age', '1'],
    ['age', 'NaN'],
    ['surrogate-control', 'x'],
    ['proxy-status', 'x'],
  ].map(fields => [`fields ${JSON.stringify(fields)}`, { fields, etag: undefined, lastModified: undefined }])),
  'a cache-only field that is none': { cacheOnlyFields: ['x y', '1'] },
  'a cache-only field that is malformed': { cacheOnlyFields: ['cache-tag', 'a\n'] },
  'an etag that is not its field': { etag: '"other"' },
  'an empty etag': { etag: '', fields: [] },
  'an etag of two lines': { etag: 'a\r\nb', fields: [] },
  'a Last-Modified that is no date': { lastModified: 'x', fields: [], etag: undefined },
  'Vary of no name': { vary: [['', null]] },
  'Vary of a name in capitals': { vary: [['Accept', null]] },
  'Vary twice': { vary: [['a', null], ['a', null]] },
  'Vary out of order': { vary: [['b', null], ['a', null]] },
  'Vary with a malformed value': { vary: [['a', 'x\n']] },
  'no authority': { authority: '' },
  'an authority of two words': { authority: 'a b' },
  'a target that is none': { target: 'a' },
  'a target with a space': { target: '/a b' },
  'a target of two lines': { target: '/a\r\n' },
  'an empty tag': { tags: [''] },
  'a long tag': { tags: ['x'.repeat(1025)] },
  'a tag of two lines': { tags: ['a\nb'] },
  'a tag with half a pair': { tags: ['a\ud83d'] },
  'a stamp of two lines': { stamp: 'a\n' },
  'a long stamp': { stamp: 'x'.repeat(129) },
  ...Object.fromEntries(
    ([[], [[5, 5]], [[5, 4]], [[4, 6], [5, 7]], [[8, 9], [1, 2]], [[-1, 2]], [[0, Number.NaN]], [[0.5, 2]], [[0, 2 ** 60]],
      Array.from({ length: 17 }, (_, i) => [i * 2, i * 2 + 1])] as [number, number][][])
      .map(
        ranges => [`ranges ${JSON.stringify(ranges)}`, { status: 206,
          part: { ranges: ranges.map(([start, end]) => ({ start, end })), complete: undefined, requestedRange: 'bytes=0-' } }],
      ),
  ),
  'a part longer than the whole': { status: 206, part: { ranges: [{ start: 0, end: 9 }], complete: 5, requestedRange: 'bytes=0-' } },
  'a part that was not requested': { status: 206, part: { ranges: [{ start: 0, end: 9 }], complete: undefined, requestedRange: 'x' } },
  'content fields of a part': { status: 206, fields: ['content-range', 'bytes 0-1/2'], etag: undefined,
    part: { ranges: [{ start: 0, end: 2 }], complete: undefined, requestedRange: 'bytes=0-' } },
}

// The guard: isPossible in decodeMetadata (store/codec.ts). Without it each of them is returned.
void t.test('metadata that no response could have reads as absent, even with a right checksum', async (test) => {
  for (const [name, change] of Object.entries(impossible)) test.equal(decodeMetadata(encodeMetadata(metadata(change))), undefined, name)
  test.not(decodeMetadata(encodeMetadata(metadata({ bodyBytes: 5 }))), undefined)
})

void t.test('flipped bits under a right checksum never throw, and never give impossible metadata', async (test) => {
  let given = 0
  fc.assert(fc.property(possibleMetadata, fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 8 }), (meta, flips) => {
    const bytes = encodeMetadata(meta)
    for (const [place, bit] of flips) {
      const at = place % (bytes.length - 4)
      bytes[at] = (bytes[at] as number) ^ (1 << bit)
    }
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
    const decoded = decodeMetadata(bytes)
    if (decoded === undefined) return true
    given++
    return isPossible(decoded) && decodeMetadata(encodeMetadata(decoded)) !== undefined
  }), { numRuns: 3000 })
  test.ok(given > 100, `${given} of them still make sense`)
})

void t.test('a damaged value reads as absent', async (test) => {
  fc.assert(fc.property(anyMetadata, fc.nat(), fc.integer({ min: 1, max: 255 }), (meta, place, change) => {
    const bytes = encodeMetadata(meta)
    const at = place % bytes.length
    bytes[at] = (bytes[at] as number) ^ change
    test.equal(decodeMetadata(bytes), undefined)
  }), { numRuns: 500 })
})

void t.test('a truncated value, or one with bytes after it, reads as absent', async (test) => {
  const bytes = encodeMetadata(metadata({ tags: ['a', 'b'], vary: [['accept', null]] }))
  for (let length = 0; length < bytes.length; length++) test.equal(decodeMetadata(bytes.subarray(0, length)), undefined)
  test.equal(decodeMetadata(Buffer.concat([bytes, Buffer.from([0])])), undefined)
})

void t.test('an unknown version reads as absent', async (test) => {
  const bytes = encodeMetadata(metadata())
  bytes[0] = 1
  test.equal(decodeMetadata(bytes), undefined)
  test.equal(encodedLength(bytes, 0), undefined)
})

void t.test('anything at all that is not metadata reads as absent, and never throws', async (test) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    test.equal(decodeMetadata(Buffer.from(bytes)), undefined)
  }))
  // Even if the checksum is not checked.
  fc.assert(fc.property(anyMetadata, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 }), (meta, changes) => {
    const bytes = encodeMetadata(meta)
    for (const [place, value] of changes) bytes[36 + place % (bytes.length - 36)] = value
    decodeMetadata(bytes, 0, bytes.length, true)
  }), { numRuns: 500 })
  test.pass()
})

void t.test('lies at any place of a larger buffer', async (test) => {
  const meta = metadata({ variant: 'ключ' })
  const bytes = encodeMetadata(meta, 77)
  const around = Buffer.concat([Buffer.alloc(5, 9), bytes, Buffer.alloc(7, 9)])
  test.equal(encodedLength(around, 5), bytes.length)
  test.strictSame(decodeMetadata(around, 5, 5 + bytes.length), { ...meta, bodyBytes: 77 })
})
