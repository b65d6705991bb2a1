// Optional white space (OWS, RFC 9110 §5.6.3): space and tab, and no other character that String.trim removes.

export function isSpace(char: number): boolean {
  return char === 0x20 || char === 0x09
}

/** Returns the part of a value from `from` to `to`, without surrounding spaces and tabs. */
export function withoutOuterSpace(value: string, from = 0, to: number = value.length): string {
  let start = from
  let end = to
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}
