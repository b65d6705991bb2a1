// Reading what unsafe requests invalidated: the stream beside the log, its buckets, and the order of both streams together.
import { bucketCount } from '../../purge/invalidation.ts'
import type { PurgeTable } from '../../purge/table.ts'
import type { GuardedClient } from '../connect/guarded-client.ts'
import { decodeUnsafeRecords, isEarlier, stampOf, timeOf, type StreamRecord, type UnsafeRecord } from './record.ts'

/** The last record of the stream that was applied; '': none. */
export interface Place {
  readonly id: string
  readonly name: string
}

export const noPlace: Place = Object.freeze({ id: '', name: '' })

const bucketBytes = 12
const bytesAtOnce = 1_048_576

/** Applies one record, and gives the place behind it. */
export function applyUnsafe(table: PurgeTable, { id, identity, name, invalidation }: UnsafeRecord): Place {
  const stamp = stampOf(identity, id)
  if ('all' in invalidation) table.apply({ id: stamp, atMs: timeOf(id), purge: invalidation })
  else table.invalidate(stamp, timeOf(id), invalidation)
  return { id, name }
}

/**
 * Loads all of a log's invalidations into a table, and gives the place behind the last of them. Records that are let go while they
 * are read have left their mark in the buckets, which are read after them.
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
 * Both streams in the order of their ids, as far as both are known: a full page may not be all that there is, and nothing behind
 * its end may be applied before the rest of it.
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
