// Reads invalidations by unsafe requests: the second stream, its buckets, and the common order of both streams.
import { bucketCount } from '../../purge/invalidation.ts'
import type { PurgeTable } from '../../purge/table.ts'
import type { GuardedClient } from '../connect/guarded-client.ts'
import { decodeUnsafeRecords, isEarlier, stampOf, timeOf, type StreamRecord, type UnsafeRecord } from './record.ts'

/** The last applied record of the stream; '' if there is none. */
export interface Place {
  readonly id: string
  readonly name: string
}

export const noPlace: Place = Object.freeze({ id: '', name: '' })

const bucketBytes = 12
const bytesAtOnce = 1_048_576

/** Applies one record, and returns the position after it. */
export function applyUnsafe(table: PurgeTable, { id, identity, name, invalidation }: UnsafeRecord): Place {
  const stamp = stampOf(identity, id)
  if ('all' in invalidation) table.apply({ id: stamp, atMs: timeOf(id), purge: invalidation })
  else table.invalidate(stamp, timeOf(id), invalidation)
  return { id, name }
}

/**
 * Loads all of a log's invalidations into a table, and returns the position after the last. Records that are dropped while
 * they are read leave their ids in the buckets, which are read afterwards.
 */
export async function loadUnsafe(lane: GuardedClient, unsafe: string, buckets: string, identity: string, table: PurgeTable, pageRecords: number): Promise<Place> {
  let place = noPlace
  for (let more = true; more;) {
    const reply = await lane.call('XRANGE', [unsafe, place.id || '-', '+', 'COUNT', pageRecords + 1])
    const records = decodeUnsafeRecords(reply, place.id).filter(record => record.identity === identity)
    for (const record of records) place = applyUnsafe(table, record)
    more = records.length >= pageRecords
  }
  if (place === noPlace) return place
  const pieces: Buffer[] = []
  for (let from = 0; from < bucketCount * bucketBytes; from += bytesAtOnce) {
    const piece = await lane.call('GETRANGE', [buckets, from, from + bytesAtOnce - 1])
    if (!Buffer.isBuffer(piece) || piece.length === 0) break
    pieces.push(piece)
  }
  if (pieces.length > 0) table.loadBuckets(Buffer.concat(pieces))
  return place
}

/**
 * Merges both streams in the order of their ids, as far as both are known. A full page may not be everything, and nothing
 * after its end may be applied before the rest of it.
 */
export function inOrder(records: readonly StreamRecord[], invalidations: readonly UnsafeRecord[], pageRecords: number): (StreamRecord | UnsafeRecord)[] {
  const recordsEnd = records.length < pageRecords ? undefined : records.at(-1)?.id
  const invalidationsEnd = invalidations.length < pageRecords ? undefined : invalidations.at(-1)?.id
  const ordered: (StreamRecord | UnsafeRecord)[] = []
  let next = 0
  const upTo = (id: string): void => {
    for (let record = records[next]; record !== undefined && isEarlier(record.id, id); record = records[++next]) ordered.push(record)
  }
  for (const each of invalidations) {
    if (recordsEnd !== undefined && isEarlier(recordsEnd, each.id)) break
    upTo(each.id)
    ordered.push(each)
  }
  if (invalidationsEnd !== undefined) upTo(invalidationsEnd)
  else ordered.push(...records.slice(next))
  return ordered
}
