import * as fc from 'fast-check'
import { test } from 'tap'
import { formatHttpDate, parseHttpDate } from '../../src/http/date.ts'
import { property, table, textOf } from './table.ts'

const now = Date.UTC(2026, 5, 15, 12)
const example = Date.UTC(1994, 10, 6, 8, 49, 37)
const parse = (value: string): number | undefined => parseHttpDate(value, now)

test('the three forms of RFC 9110 §5.6.7 are read, and name the same time', async (t) => {
  table(t, [
    ['valid', 'Sun, 06 Nov 1994 08:49:37 GMT', example],
    ['valid', 'Sunday, 06-Nov-94 08:49:37 GMT', example],
    ['valid', 'Sun Nov  6 08:49:37 1994', example],
    ['valid', 'Sun Nov 06 08:49:37 1994', example],
    ['valid', 'Wed Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)],
    ['valid', 'Mon, 06 Nov 1994 08:49:37 GMT', example], // the day name need not be the right one
    ['valid', 'Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['valid', 'Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)],
    ['valid', 'Tue, 29 Feb 2000 00:00:00 GMT', Date.UTC(2000, 1, 29)],
    ['valid', 'Fri, 31 Dec 9999 23:59:59 GMT', 253_402_300_799_000],
    ['valid', 'Sat, 01 Jan 0000 00:00:00 GMT', -62_167_219_200_000],
    ['valid', 'Thu, 01 Jan 0094 00:00:00 GMT', new Date('0094-01-01T00:00:00Z').getTime()],
  ], parse)
})

test('case does not matter to a cache (RFC 9111 §4.2)', async (t) => {
  table(t, [
    ['valid', 'sun, 06 nov 1994 08:49:37 gmt', example],
    ['valid', 'SUN, 06 NOV 1994 08:49:37 GMT', example],
    ['valid', 'Sun, 06 Nov 1994 08:49:37 gMT', example],
    ['valid', 'SUNDAY, 06-nov-94 08:49:37 GMT', example],
    ['valid', 'sUN nOV  6 08:49:37 1994', example],
    ['malformed', 'sun, 06 nov 1994 08:49:37 utc', undefined],
  ], parse)
})

test('nothing else is a date', async (t) => {
  table(t, [
    ['malformed', '', undefined],
    ['malformed', '0', undefined],
    ['malformed', '-1', undefined],
    ['malformed', '1994-11-06T08:49:37Z', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37 UTC', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37 AEST', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37 +0000', undefined],
    ['malformed', 'Sun, 06-Nov-1994 08:49:37 GMT', undefined],
    ['malformed', 'Sunday, 06-Nov-1994 08:49:37 GMT', undefined],
    ['malformed', 'Sunday, 06 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Sun, 06-Nov-94 08:49:37 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 94 08:49:37 GMT', undefined],
    ['malformed', 'Sun, 6 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Sun,  6 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 1994 8:49:37 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 1994  08:49:37 GMT', undefined],
    ['malformed', 'Sun,06 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Day, 06 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Sun Nov 6 08:49:37 1994', undefined],
    ['malformed', 'Sun Nov  6 08:49:37 1994 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', ' Sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['malformed', 'Sun, 06 Nov 1994 08:49:37 GMT ', undefined],
    ['hostile', 'Sun, 06 Nov 1994 08:49:37 GMT\n', undefined],
    ['hostile', `Sun, ${'0'.repeat(100_000)}6 Nov 1994 08:49:37 GMT`, undefined],
  ], parse)
})

test('a day or an hour that does not exist is refused, not carried over', async (t) => {
  table(t, [
    ['malformed', 'Fri, 31 Feb 2020 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 29 Feb 2021 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 29 Feb 1900 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 31 Apr 2020 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 00 Jan 2020 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 32 Jan 2020 00:00:00 GMT', undefined],
    ['malformed', 'Fri, 01 Jan 2020 24:00:00 GMT', undefined],
    ['malformed', 'Fri, 01 Jan 2020 00:60:00 GMT', undefined],
    ['malformed', 'Fri, 01 Jan 2020 00:00:61 GMT', undefined],
    ['malformed', 'Fri Feb 31 00:00:00 2020', undefined],
    ['malformed', 'Friday, 31-Feb-20 00:00:00 GMT', undefined],
  ], parse)
})

test('a two-digit year more than 50 years ahead is in the century before', async (t) => {
  table(t, [
    ['valid', 'Monday, 15-Jun-26 12:00:00 GMT', now],
    ['valid', 'Monday, 15-Jun-76 12:00:00 GMT', Date.UTC(2076, 5, 15, 12)],
    ['valid', 'Monday, 15-Jun-76 12:00:01 GMT', Date.UTC(1976, 5, 15, 12, 0, 1)],
    ['valid', 'Monday, 31-Dec-76 00:00:00 GMT', Date.UTC(1976, 11, 31)],
    ['valid', 'Monday, 01-Jan-77 00:00:00 GMT', Date.UTC(1977, 0, 1)],
    ['valid', 'Friday, 31-Dec-99 23:59:59 GMT', Date.UTC(1999, 11, 31, 23, 59, 59)],
    ['valid', 'Saturday, 01-Jan-00 00:00:00 GMT', Date.UTC(2000, 0, 1)],
  ], parse)
  t.equal(parseHttpDate('Saturday, 01-Jan-01 00:00:00 GMT', Date.UTC(2099, 0, 1)), Date.UTC(2101, 0, 1), 'a century about to turn')
})

test('an HTTP-date is written as IMF-fixdate, whatever the time', async (t) => {
  t.equal(formatHttpDate(example), 'Sun, 06 Nov 1994 08:49:37 GMT')
  t.equal(formatHttpDate(example + 999), 'Sun, 06 Nov 1994 08:49:37 GMT')
  t.equal(formatHttpDate(Infinity), 'Fri, 31 Dec 9999 23:59:59 GMT')
  t.equal(formatHttpDate(-Infinity), 'Sat, 01 Jan 0000 00:00:00 GMT')
  property(t, 'the written date is read back', fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), (seconds) => {
    return parse(formatHttpDate(seconds * 1000)) === seconds * 1000
  })
})

test('reading a date never throws', async (t) => {
  const text = textOf('Sun', 'Sunday', ', ', ' ', '-', '06', 'Nov', '94', '1994', '08:49:37', 'GMT', ':', '6')
  property(t, 'for any text', fc.tuple(text, fc.integer()), ([value, at]) => Number.isFinite(parseHttpDate(value, at) ?? 0))
})
