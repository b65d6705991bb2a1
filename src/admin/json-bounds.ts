// Bounds a JSON text before it is parsed: a parser and a schema would first build all of its values.

/** More than any endpoint accepts: a purge may name 3,000 items. */
export const maxJsonValues = 4000
export const maxJsonDepth = 16

const quote = 0x22
const comma = 0x2c
const backslash = 0x5c

/**
 * Returns which bound a text exceeds, as a sentence without its subject; undefined if none. A text that is not JSON may pass: the
 * parser reports it. Stops at the bound, and takes time in proportion to the text.
 */
export function tooMuchJson(text: string): string | undefined {
  let values = 1
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = closingQuote(text, at)
        break
      case 0x5b:
      case 0x7b: // [ {
        values++
        if (++depth > maxJsonDepth) return `is nested too deep: more than ${maxJsonDepth} levels`
        break
      case 0x5d:
      case 0x7d: // ] }
        depth--
        break
      case comma:
        values++
        if (values > maxJsonValues) return `holds more than ${maxJsonValues} values: send them in several requests`
    }
  }
  return undefined
}

/** Returns the index where the string that opens at `open` closes; the end of the text if it does not close. */
function closingQuote(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === quote) return at
    if (char === backslash) at++
  }
  return text.length
}
