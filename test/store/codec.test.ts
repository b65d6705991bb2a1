// Metadata as bytes: nothing is lost, and nothing damaged is taken for whole.
import * as fc from 'fast-check'
import t from 'tap'
import { decodeMetadata, encodedLength, encodeMetadata } from '../../src/store/codec.ts'
import { anyMetadata, metadata } from '../support/metadata.ts'

void t.test('any metadata comes back as it was, every byte that HTTP allows in a field included', async (test) => {
  fc.assert(fc.property(anyMetadata, (meta) => {
    const bytes = encodeMetadata(meta)
    test.strictSame(decodeMetadata(bytes), meta)
    test.strictSame(decodeMetadata(bytes, 0, bytes.length, true), meta)
    test.ok(encodeMetadata(structuredClone(meta)).equals(bytes), 'the same metadata gives the same bytes')
  }), { numRuns: 300 })
})

void t.test('a damaged value reads as absent', async (test) => {
  fc.assert(fc.property(anyMetadata, fc.nat(), fc.integer({ min: 1, max: 255 }), (meta, place, change) => {
    const bytes = encodeMetadata(meta)
    const at = place % bytes.length
    bytes[at] = (bytes[at] as number) ^ change
    test.equal(decodeMetadata(bytes), undefined)
  }), { numRuns: 500 })
})

void t.test('a value that is cut short, or has something after it, reads as absent', async (test) => {
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
  // Even where the checksum is not looked at.
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
