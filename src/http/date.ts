// HTTP dates in the three forms of RFC 9110 §5.6.7, without regard to case.

const months: ReadonlyMap<string, number> = new Map(
  ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'].map((name, month) => [name, month]),
)

const month = '(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)'
const shortDay = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const longDay = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
// time-of-day: second 60 is a leap second.
const time = '([01]\\d|2[0-3]):([0-5]\\d):([0-5]\\d|60)'

// Every space matters. Case does not, although §5.6.7 makes it matter: RFC 9111 §4.2 lets a cache match without regard to
// case.
const imfFixdate = new RegExp(`^${shortDay}, (\\d\\d) ${month} (\\d{4}) ${time} GMT$`, 'i')
const rfc850Date = new RegExp(`^${longDay}, (\\d\\d)-${month}-(\\d\\d) ${time} GMT$`, 'i')
const asctimeDate = new RegExp(`^${shortDay} ${month} (\\d\\d| \\d) ${time} (\\d{4})$`, 'i')

/**
 * Returns the time of an HTTP-date in milliseconds since the epoch. Returns undefined if the value has none of the three
 * forms of RFC 9110 §5.6.7, or names a day that no calendar has. The day name must be a name of a day; it need not fit the
 * date. `nowMs` resolves the two-digit year of the rfc850 form.
 */
export function parseHttpDate(value: string, nowMs: number): number | undefined {
  const imf = imfFixdate.exec(value)
  if (imf !== null) return instant(Number(imf[3]), imf[2], imf[1], imf[4], imf[5], imf[6])

  const rfc850 = rfc850Date.exec(value)
  if (rfc850 !== null) {
    const [, day, monthName, year, hour, minute, second] = rfc850
    return instantOfShortYear(Number(year), nowMs, (full) => instant(full, monthName, day, hour, minute, second))
  }

  const asctime = asctimeDate.exec(value)
  if (asctime !== null) return instant(Number(asctime[6]), asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
  return undefined
}

/** Formats an IMF-fixdate, the only form that may be generated (RFC 9110 §5.6.7). Years are clamped to 0 to 9999. */
export function formatHttpDate(ms: number): string {
  return new Date(Math.min(Math.max(ms, firstMs), lastMs)).toUTCString()
}

const firstMs = -62_167_219_200_000 // 0000-01-01T00:00:00Z
const lastMs = 253_402_300_799_999 // 9999-12-31T23:59:59.999Z
const fourCenturiesMs = 146_097 * 86_400_000

function instant(
  year: number,
  monthName: string | undefined,
  dayText: string | undefined,
  hour: string | undefined,
  minute: string | undefined,
  second: string | undefined,
): number | undefined {
  const monthIndex = months.get(monthName?.toLowerCase() ?? '')
  const day = Number(dayText)
  if (monthIndex === undefined || day < 1 || day > daysIn(year, monthIndex)) return undefined
  // Date.UTC reads the years 0 to 99 as 1900 to 1999. The calendar repeats every 400 years, so a later year is used.
  const ms = Date.UTC(year + 400, monthIndex, day, Number(hour), Number(minute), Number(second))
  return ms - fourCenturiesMs
}

function daysIn(year: number, monthIndex: number): number {
  if (monthIndex === 1) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return monthIndex === 3 || monthIndex === 5 || monthIndex === 8 || monthIndex === 10 ? 30 : 31
}

/**
 * RFC 9110 §5.6.7: a two-digit year more than 50 years in the future means the most recent past year with those digits.
 * Therefore the last year that ends in them and is at most 50 years ahead is used.
 */
function instantOfShortYear(year: number, nowMs: number, at: (full: number) => number | undefined): number | undefined {
  const limit = new Date(nowMs)
  limit.setUTCFullYear(limit.getUTCFullYear() + 50)
  const limitYear = limit.getUTCFullYear()
  const latest = limitYear - ((((limitYear - year) % 100) + 100) % 100)
  const ms = at(latest)
  // A 29 February that the later century lacks is not "ahead": it is not a date.
  return ms !== undefined && ms > limit.getTime() ? at(latest - 100) : ms
}
