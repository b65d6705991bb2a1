// The allowed values of each member of stored metadata. Metadata from outside this process is checked against them.
import { parseHttpDate } from '../http/date.ts'
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { hasFieldBytes, isFieldName, isFieldValue, isSettled, longestStoredSection, sectionBytes } from '../http/field-section.ts'
import { isPossibleTag } from '../http/tags.ts'
import { maxRanges } from './part.ts'
import { maxPublicHosts } from './public-hosts.ts'
import { isStorableStatus, mayBeKept } from './storable.ts'
import type { Metadata, Part, Selecting } from './stored.ts'

// The largest number that a Date holds. Durations and times of day are at most this.
const longestMs = 8.64e15
// Entries of combined parts have the tags of all parts.
const mostTags = 20_000
const longestStamp = 128
const longestAuthority = 300

const visible = /^[!-~]*$/
const printable = /^[ -~]*$/
const targetBytes = /^[/*][\x21-\x7e\x80-\xff]*$/

/** True if `assessResponse` may have made this metadata: it can be served, sent, and judged by the purge log. */
export function isPossible(meta: Metadata): boolean {
  const { status, part, bodyBytes } = meta
  return isStorableStatus(status)
    && (status === 206) === (part !== undefined)
    && isCount(bodyBytes)
    // RFC 9110 §15.3.5, §15.3.6: neither status has content.
    && (bodyBytes === 0 || (status !== 204 && status !== 205))
    && areTimes(meta)
    && areFields(meta)
    && meta.cacheOnlyFields.every((text, i) => (i % 2 === 0 ? isFieldName(text) : isFieldValue(text)))
    && areValidators(meta)
    && areSelecting(meta.vary)
    && isAuthority(meta.authority) && meta.publicHosts.length <= maxPublicHosts && meta.publicHosts.every(isAuthority)
    && targetBytes.test(meta.target)
    && meta.stamp.length <= longestStamp && printable.test(meta.stamp)
    && meta.tags.length <= mostTags && meta.tags.every((tag) => isPossibleTag(tag))
    && (part === undefined || isPart(part))
}

function isAuthority(text: string): boolean {
  return text !== '' && text.length <= longestAuthority && visible.test(text)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isSpan(ms: number): boolean {
  // Also false for NaN.
  return ms >= 0 && ms <= longestMs
}

function areTimes(meta: Metadata): boolean {
  return isSpan(meta.requestTimeMs) && isSpan(meta.responseTimeMs) && isSpan(meta.keepUntilMs) && isSpan(meta.initialAgeMs)
    && isSpan(meta.lifetimeMs) && isSpan(meta.staleWhileRevalidateMs) && (meta.staleIfErrorMs === undefined || isSpan(meta.staleIfErrorMs))
}

function areFields({ fields, part }: Metadata): boolean {
  if (!isSettled(fields) || sectionBytes(fields) > longestStoredSection) return false
  for (let i = 0; i < fields.length; i += 2) if (!mayBeKept(fields[i] as string, part !== undefined)) return false
  return true
}

// Validators are sent to the origin and their fields to clients, so both must be equal. A qualified no-cache removes the
// field, and keeps the validator.
function areValidators({ fields, etag, lastModified, responseTimeMs }: Metadata): boolean {
  if (etag !== undefined && (etag === '' || !isSame(fields, 'etag', etag))) return false
  return lastModified === undefined || (parseHttpDate(lastModified, responseTimeMs) !== undefined && isSame(fields, 'last-modified', lastModified))
}

function isSame(fields: FieldLines, name: string, value: string): boolean {
  const sent = fieldValue(fields, name)
  return sent === undefined ? isFieldValue(value) : sent === value
}

// True if `selectingFields` may have made them.
function areSelecting(vary: readonly Selecting[]): boolean {
  let before = ''
  for (const [name, value] of vary) {
    if (name <= before || !isFieldName(name) || (value !== null && !hasFieldBytes(value))) return false
    before = name
  }
  return true
}

function isPart({ ranges, complete, requestedRange }: Part): boolean {
  if (ranges.length === 0 || ranges.length > maxRanges || !/^bytes=/i.test(requestedRange) || !isFieldValue(requestedRange)) return false
  let last = 0
  for (const { start, end } of ranges) {
    if (!isCount(start) || !isCount(end) || start < last || end <= start) return false
    last = end
  }
  return complete === undefined || (isCount(complete) && complete >= last)
}
