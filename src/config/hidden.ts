// Hides references from the YAML parser: `{ token: ${TOKEN:-a, b} }` would be a syntax error, or another map.

/** The text of a file with its references hidden, and a function that restores any part of it. */
export interface Hidden {
  /** As long as the original, so that positions are the same in both. */
  readonly text: string
  reveal(part: string): string
}

/**
 * Hides each reference on one line that has no quotes and no backslashes; those keep their meaning in YAML. Other references
 * are parsed as any text, so the whole value needs quotes if YAML would reject it.
 */
export function hideReferences(text: string): Hidden {
  const base = freeBase(text)
  if (base === undefined) return { text, reveal: (part) => part }
  const hide = (reference: string): string => moved(reference, 0x20, 0x7e, base)
  let hidden = ''
  let from = 0
  for (let at = text.indexOf('$'); at !== -1; at = text.indexOf('$', at)) {
    const escaped = text[at + 1] === '$'
    const end = endOfReference(text, escaped ? at + 1 : at)
    if (end === undefined) {
      at += escaped ? 2 : 1
      continue
    }
    hidden += text.slice(from, at) + hide(text.slice(at, end))
    from = end
    at = end
  }
  return {
    text: hidden + text.slice(from),
    reveal: (part) => moved(part, base + 0x20, base + 0x7e, -base),
  }
}

/** Adds `by` to the codes of the characters from `first` to `last`. */
function moved(text: string, first: number, last: number, by: number): string {
  let result = ''
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    result += code >= first && code <= last ? String.fromCharCode(code + by) : text[i]
  }
  return result
}

// Finds 96 private-use characters that the text does not contain. YAML treats them as letters.
function freeBase(text: string): number | undefined {
  const taken = new Set<number>()
  for (let i = 0; i < text.length; i++) taken.add(text.charCodeAt(i) & ~0x7f)
  for (let base = 0xe000; base < 0xf800; base += 0x80) if (!taken.has(base)) return base
  return undefined
}

/** Returns the index after the last brace of the reference at `start`; undefined if there is none to hide. */
function endOfReference(text: string, start: number): number | undefined {
  if (!text.startsWith('${', start)) return undefined
  let open = 0
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at] as string
    if (char === '{') open++
    else if (char === '}') {
      open--
      if (open === 0) return at + 1
    } else if (/[\r\n"'\\]/.test(char)) return undefined
  }
  return undefined
}
