// Every regular expression that stands in a TypeScript source: found by its tokens, so that none hides in a string or comment.

export interface Found {
  readonly line: number
  readonly expression: RegExp
}

export interface Expressions {
  readonly literals: readonly Found[]
  /** How many are made by the constructor, whose text is not known here. */
  readonly constructed: number
}

// After these a slash begins an expression, and after anything else it divides.
const before = /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|await|yield|void|delete|throw|new|else|do))$/
const beforeText = /(?:^|[^.\w$])(?:return|typeof|case|in|of|await|yield|void|delete|throw|new|else|do)$/

/** Reads one source. String literals that are written as anchored expressions are schemas' patterns, and count as well. */
export function expressionsOf(text: string): Expressions {
  const literals: Found[] = []
  let constructed = 0
  let at = 0
  /** What was read last, less white space and comments: decides what a slash is. */
  let last = ''
  const templates: number[] = []
  let braces = 0
  const lineOf = (offset: number): number => text.slice(0, offset).split('\n').length

  const template = (): void => {
    for (; at < text.length; at++) {
      if (text[at] === '\\') at++
      else if (text[at] === '`') {
        at++
        last = 'x'
        return
      } else if (text.startsWith('${', at)) {
        at += 2
        templates.push(braces)
        last = '{'
        return
      }
    }
  }

  while (at < text.length) {
    const char = text[at] as string
    if (/\s/.test(char)) at++
    else if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) at = endOf(text, '\n', at)
    else if (text.startsWith('/*', at)) at = endOf(text, '*/', at) + 2
    else if (char === "'" || char === '"') {
      const start = at++
      while (at < text.length && text[at] !== char) at += text[at] === '\\' ? 2 : 1
      at++
      const written = text.slice(start + 1, at - 1)
      if (/^\^.*\$$/.test(written)) literals.push({ line: lineOf(start), expression: new RegExp(unescaped(written), 'u') })
      last = 'x'
    } else if (char === '`') {
      at++
      template()
    } else if (char === '/' && (before.test(last) || beforeText.test(last))) {
      const start = at++
      for (let inClass = false; at < text.length && (inClass || text[at] !== '/'); at++) {
        if (text[at] === '\\') at++
        else if (text[at] === '[') inClass = true
        else if (text[at] === ']') inClass = false
      }
      const source = text.slice(start + 1, at)
      const [flags = ''] = /^[a-z]*/.exec(text.slice(at + 1, at + 10)) ?? []
      at += 1 + flags.length
      literals.push({ line: lineOf(start), expression: new RegExp(source, flags) })
      last = 'x'
    } else {
      const word = /^[\w$]+/.exec(text.slice(at, at + 80))?.[0]
      if (word === 'RegExp' && last === 'new') constructed++
      if (char === '{') braces++
      if (char === '}') braces--
      at += word?.length ?? 1
      last = word ?? char
      if (char === '}' && templates.at(-1) === braces + 1) {
        braces++
        templates.pop()
        template()
      }
    }
  }
  return { literals, constructed }
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from)
  return end < 0 ? text.length : end
}

/** What a string literal stands for. */
function unescaped(written: string): string {
  return written.replaceAll(/\\u([0-9a-fA-F]{4})|\\(.)/g, (_, code: string | undefined, char: string) =>
    code === undefined ? { n: '\n', r: '\r', t: '\t' }[char] ?? char : String.fromCharCode(Number.parseInt(code, 16)))
}
