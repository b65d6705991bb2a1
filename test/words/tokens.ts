// The tokens of a TypeScript source: comments, strings, regular expressions and the rest, so that none is taken for another.

export type TokenKind = 'line-comment' | 'block-comment' | 'string' | 'template' | 'regex' | 'word' | 'punctuation'

export interface Token {
  readonly kind: TokenKind
  /** The offset of the first character in the source. */
  readonly start: number
  readonly end: number
  /** The text between the delimiters; for a template the texts around its substitutions come one by one. */
  readonly text: string
}

// After these a slash begins an expression, and after anything else it divides.
const beforeRegex = /^(?:[=(,:[!&|?{};+\-*%<>~^]|return|typeof|case|in|of|await|yield|void|delete|throw|new|else|do)?$/

/** Reads one source. It knows no grammar: a file that does not compile gives tokens too. */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  /** The text of the last token that is no comment: it decides what a slash is. */
  let last = ''
  /** The depth of braces at which each open `${` ends. */
  const substitutions: number[] = []
  let braces = 0

  const add = (kind: TokenKind, start: number, text: string): void => {
    tokens.push({ kind, start, end: at, text })
    if (!kind.endsWith('comment')) last = kind === 'word' || kind === 'punctuation' ? text : 'x'
  }
  /** Reads a template from behind its backtick, or from behind the brace that ends a substitution. */
  const template = (start: number): void => {
    const from = at
    while (at < source.length && source[at] !== '`' && !source.startsWith('${', at)) at += source[at] === '\\' ? 2 : 1
    const text = source.slice(from, at)
    const substituted = source[at] === '$'
    at += substituted ? 2 : 1
    add('template', start, text)
    if (!substituted) return
    substitutions.push(braces)
    last = '{'
  }

  while (at < source.length) {
    const start = at
    const char = source[at] as string
    if (/\s/.test(char)) at++
    else if (source.startsWith('//', at) || (at === 0 && source.startsWith('#!'))) {
      at = endOf(source, '\n', at)
      add('line-comment', start, source.slice(start + 2, at))
    } else if (source.startsWith('/*', at)) {
      const end = endOf(source, '*/', at + 2)
      at = Math.min(end + 2, source.length)
      add('block-comment', start, source.slice(start + 2, end))
    } else if (char === "'" || char === '"') {
      at++
      while (at < source.length && source[at] !== char) at += source[at] === '\\' ? 2 : 1
      at++
      add('string', start, source.slice(start + 1, at - 1))
    } else if (char === '`') {
      at++
      template(start)
    } else if (char === '}' && substitutions.at(-1) === braces) {
      substitutions.pop()
      at++
      template(start)
    } else if (char === '/' && beforeRegex.test(last)) {
      at++
      for (let inClass = false; at < source.length && (inClass || source[at] !== '/'); at++) {
        if (source[at] === '\\') at++
        else if (source[at] === '[') inClass = true
        else if (source[at] === ']') inClass = false
      }
      at += 1 + (/^[a-z]*/.exec(source.slice(at + 1, at + 10))?.[0].length ?? 0)
      add('regex', start, source.slice(start, at))
    } else {
      const word = /^[\w$]+/.exec(source.slice(at, at + 80))?.[0]
      if (char === '{') braces++
      if (char === '}') braces--
      at += word?.length ?? 1
      add(word === undefined ? 'punctuation' : 'word', start, word ?? char)
    }
  }
  return tokens
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from)
  return end < 0 ? text.length : end
}
