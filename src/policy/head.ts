// What the answer to a HEAD says of a stored response to GET: RFC 9111 §4.3.5.
import { fieldValue, hasField, type FieldLines } from '../http/fields.ts'
import type { Metadata } from './stored.ts'

/** confirms: its fields update the stored response; contradicts: that must not be used any more; silent: it says neither. */
export type HeadVerdict = 'confirms' | 'contradicts' | 'inconclusive'

/** Statuses of a HEAD that speak of what is stored: what there is now, or that there is nothing any more. */
export function isHeadRelevant(status: number): boolean {
  return status === 200 || status === 404 || status === 410
}

/**
 * Compares. Every validator that the HEAD brings must be the stored one, its Content-Length the stored body's length, and
 * its coding the stored body's. To confirm, one validator at least must have been compared: two answers without any may
 * be of two different bodies, and each HEAD would make the old one young again.
 */
export function judgeByHead(meta: Metadata, status: number, fields: FieldLines): HeadVerdict {
  // A stored part is one of a representation that GET would bring as 200.
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
