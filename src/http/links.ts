// The links of a Link field (RFC 8288 §3) in a 103 response.

// The parameters of a link, in the form that Node's writeEarlyHints accepts. Node's own expression takes quadratic time for
// a malformed link. Every link that matches here matches there at once.
const parameters = /^(?:[ \t]*;[ \t]*[^;"=\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*[ \t]*$/

/**
 * Returns the links of a value that Node can send, in their order; the others are left out. A comma within the angle
 * brackets of a target, or within quotes, does not separate. Takes time in proportion to the value.
 */
export function sendableLinks(value: string): string[] {
  const links: string[] = []
  for (let at = 0; at < value.length;) {
    const open = value.indexOf('<', at)
    const close = open < 0 ? -1 : value.indexOf('>', open)
    if (close < 0) break
    const end = endOfLink(value, close + 1)
    if (end !== undefined && parameters.test(value.slice(close + 1, end))) links.push(value.slice(open, end).trim())
    // A quote that never closes is the last one, so the search for its end happens once.
    at = end ?? value.indexOf('"', close) + 1
  }
  return links
}

/** Returns the offset of the comma after a link, or the end of the value. Undefined if a quote never closes. */
function endOfLink(value: string, from: number): number | undefined {
  for (let at = from; at < value.length; at++) {
    const char = value[at]
    if (char === ',') return at
    if (char !== '"') continue
    const closing = value.indexOf('"', at + 1)
    if (closing < 0) return undefined
    at = closing
  }
  return value.length
}
