// Compares the response to a HEAD with a stored response to GET: RFC 9111 §4.3.5.
import { fieldValue, hasField, type FieldLines } from '../http/fields.ts'
import type { Metadata } from './stored.ts'

/**
 * confirms: its fields update the stored response. contradicts: the stored response must not be used. inconclusive: neither.
 */
export type HeadVerdict = 'confirms' | 'contradicts' | 'inconclusive'

/**
 * True if the response to a HEAD is compared with fresh stored responses. Any other status removes none of them, as one that a
 * GET brings: a client could evict a response by requests that the origin refuses. A stale one is superseded (fill/supersede.ts).
 */
export function isHeadRelevant(status: number): boolean {
  return status === 200
}

/**
 * Compares. Every validator in the HEAD response must equal the stored one, its Content-Length the length of the stored
 * body, and its coding the stored body's. To confirm, at least one validator must have been compared. Two responses without
 * validators may have different bodies, and each HEAD would make the old one fresh again.
 */
export function judgeByHead(meta: Metadata, status: number, fields: FieldLines): HeadVerdict {
  // A stored part belongs to a representation that GET would return with 200.
  if (status !== (meta.part === undefined ? meta.status : 200)) return 'contradicts'
  if (status !== 200) return 'inconclusive'
  for (const name of ['etag', 'last-modified', 'content-encoding']) {
    if (hasField(fields, name) && fieldValue(fields, name) !== fieldValue(meta.fields, name)) return 'contradicts'
  }
  const length = fieldValue(fields, 'content-length')
  const stored = meta.part === undefined ? meta.bodyBytes : meta.part.complete
  if (length !== undefined && stored !== undefined && Number(length) !== stored) return 'contradicts'
  const compared = (meta.etag !== undefined && hasField(fields, 'etag')) || (meta.lastModified !== undefined && hasField(fields, 'last-modified'))
  return compared ? 'confirms' : 'inconclusive'
}
