// Every regular expression in a TypeScript source: found by its tokens, so that none hides in a string or comment.
import { tokensOf } from '../words/tokens.ts'

export interface Found {
  readonly line: number
  readonly expression: RegExp
}

export interface Expressions {
  readonly literals: readonly Found[]
  /** The number of calls of the constructor, whose text is not known here. */
  readonly constructed: number
}

/** Reads one source. String literals that are written as anchored expressions are patterns of schemas, and count as well. */
export function expressionsOf(text: string): Expressions {
  const literals: Found[] = []
  let constructed = 0
  const tokens = tokensOf(text)
  for (const [index, token] of tokens.entries()) {
    const line = (): number => text.slice(0, token.start).split('\n').length
    if (token.kind === 'regex') {
      const end = token.text.lastIndexOf('/')
      literals.push({ line: line(), expression: new RegExp(token.text.slice(1, end), token.text.slice(end + 1)) })
    } else if (token.kind === 'string' && /^\^.*\$$/.test(token.text)) {
      literals.push({ line: line(), expression: new RegExp(unescaped(token.text), 'u') })
    } else if (token.text === 'RegExp' && tokens[index - 1]?.text === 'new') constructed++
  }
  return { literals, constructed }
}

/** Returns the value of a string literal. */
function unescaped(written: string): string {
  return written.replaceAll(/\\u([0-9a-fA-F]{4})|\\(.)/g,
    (_, code: string | undefined, char: string) => code === undefined ? { n: '\n', r: '\r', t: '\t' }[char] ?? char : String.fromCharCode(Number.parseInt(code, 16)))
}
