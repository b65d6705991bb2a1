// The links of a Link field (RFC 8288 §3), as a 103 brings them.

// The parameters of a link, in the form that Node's writeEarlyHints takes. Node tests each link with an expression whose time
// grows with the square of a malformed one's length; whatever this one takes, that one finds at once.
const parameters = /^(?:[ \t]*;[ \t]*[^;"=\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*[ \t]*$/

/**
 * Returns the links of a value that Node can send, in their order; the others are left out. A comma within the angle brackets
 * of a target, or within quotes, does not part. Takes time in proportion to the value.
 */
export function sendableLinks(value: string): string[] {
  const links: string[] = []
  for (let at = 0; at < value.length;) {
    const open = value.indexOf('<', at)
    const close = open < 0 ? -1 : value.indexOf('>', open)
    if (close < 0) break
    const end = endOfLink(value, close + 1)
    if (end !== undefined && parameters.test(value.slice(close + 1, end))) links.push(value.slice(open, end).trim())
    // Behind a quote that never closes there is no other quote: looking for its end happens once.
    at = end ?? value.indexOf('"', close) + 1
  }
  return links
}

/** Where the comma after a link is, or else the end of the value; undefined: a quote never closes. */
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
