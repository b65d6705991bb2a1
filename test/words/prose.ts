// The prose of a file: comments, messages, names of tests and pages, without the code among them.
import { tokensOf, type Token } from './tokens.ts'

export type ProseKind = 'comment' | 'message' | 'test name' | 'page'

export interface Prose {
  readonly file: string
  /** The line of the first character. The text keeps the line breaks of the file. */
  readonly line: number
  readonly kind: ProseKind
  /** Code in backticks, addresses and targets of links are blanked. */
  readonly text: string
}

/** Returns the prose of a file, by the ending of its name. */
export function proseOf(file: string, source: string): Prose[] {
  if (file.endsWith('.md')) return pageOf(file, source)
  if (file.endsWith('.yaml')) return hashCommentsOf(file, source)
  return sourceOf(file, source)
}

function sourceOf(file: string, source: string): Prose[] {
  const isTest = file.startsWith('test/')
  const tokens = tokensOf(source)
  const lineAt = lineFinder(source)
  const found: Prose[] = []
  const add = (start: number, kind: ProseKind, text: string): void => {
    found.push({ file, line: lineAt(start), kind, text: blanked(text) })
  }
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token
    if (token.kind === 'line-comment') {
      // Line comments on consecutive lines, at one indentation, are one text.
      let text = token.text
      for (let last = token; follows(source, last, tokens[i + 1], lineAt); last = tokens[++i] as Token) text += `\n${(tokens[i + 1] as Token).text}`
      add(token.start, 'comment', text)
    } else if (token.kind === 'block-comment') add(token.start, 'comment', token.text.replaceAll(/^\*|(?<=\n)[ \t]*\* ?/g, ''))
    else if (token.kind === 'string' || token.kind === 'template') {
      if (isLua(token)) {
        for (const { index, 0: comment } of token.text.matchAll(/(?:(?<=^|\s)--.*(?:\n[ \t]*(?=--))?)+/g)) {
          add(token.start + 1 + index, 'comment', comment.replaceAll(/(?<=^|\n)--/g, ''))
        }
      } else if (isTest) {
        if (isTestName(tokens, i)) { for (const piece of piecesOf(source, tokens, i)) add(piece.start, 'test name', opens(source, piece) ? piece.text : `…${piece.text}`) }
      } else if (/[a-z]\s+[a-z]/i.test(token.text)) add(token.start, 'message', opens(source, token) ? token.text : `…${token.text}`)
    }
  }
  return found
}

/** True if `next` is a line comment that goes on with `token`. A comment behind code starts a text of its own. */
function follows(source: string, token: Token, next: Token | undefined, lineAt: (offset: number) => number): boolean {
  if (next?.kind !== 'line-comment' || lineAt(next.start) !== lineAt(token.start) + 1) return false
  const indentation = (start: number): string => source.slice(source.lastIndexOf('\n', start - 1) + 1, start)
  return /^\s*$/.test(indentation(next.start)) && /^\s*$/.test(indentation(token.start))
}

/** False for the text behind a substitution, with which no sentence starts. */
function opens(source: string, { start }: Token): boolean {
  return source[start] !== '}'
}

/** Scripts for Redis stand in templates of several lines. Their code is no prose, their comments are. */
function isLua({ kind, text }: Token): boolean {
  return kind === 'template' && text.includes('\n') && /(?:^|\n)[ \t]*(?:local|if|for|return|redis|end|else)\b/.test(text)
}

/** Returns a string, or the pieces of a template around its substitutions. */
function piecesOf(source: string, tokens: readonly Token[], index: number): Token[] {
  const goesOn = ({ end }: Token): boolean => source.startsWith('${', end - 2)
  const pieces = [tokens[index] as Token]
  let depth = goesOn(tokens[index] as Token) ? 1 : 0
  for (let i = index + 1; depth > 0 && i < tokens.length; i++) {
    const token = tokens[i] as Token
    if (token.kind !== 'template') continue
    if (!opens(source, token) && depth === 1) pieces.push(token)
    if (opens(source, token) && goesOn(token)) depth++
    if (!opens(source, token) && !goesOn(token)) depth--
  }
  return pieces
}

/** The functions whose first argument is the name of a test. */
const testFunctions = new Set(['test', 'promise'])

/** True for the first argument of `test(` and of its methods, such as `test.skip(`. */
function isTestName(tokens: readonly Token[], index: number): boolean {
  let i = index - 1
  if (tokens[i]?.text !== '(') return false
  while (tokens[i - 2]?.text === '.' && !testFunctions.has((tokens[i - 1] as Token).text)) i -= 2
  return tokens[i - 1]?.kind === 'word' && testFunctions.has((tokens[i - 1] as Token).text)
}

/** Headings and rows of tables are their own texts, marked by `#` and `|` at the start. */
function pageOf(file: string, source: string): Prose[] {
  const page = source
    .replaceAll(/^[ \t]*(```|~~~)[^]*?^[ \t]*\1.*$/gm, spaced)
    .replaceAll(/<!--[^]*?-->/g, spaced)
  const found: Prose[] = []
  let block: string[] = []
  const end = (line: number): void => {
    if (block.length > 0) found.push({ file, line: line - block.length, kind: 'page', text: blanked(block.join('\n')) })
    block = []
  }
  page.split('\n').forEach((text, index) => {
    const alone = /^\s*[#|]/.test(text)
    if (alone || !/\S/.test(text) || /^\s*(?:[-*+]|\d+\.)\s/.test(text)) end(index + 1)
    if (/\S/.test(text)) block.push(text)
    if (alone) end(index + 2)
  })
  end(page.split('\n').length + 1)
  return found
}

function hashCommentsOf(file: string, source: string): Prose[] {
  return [...source.matchAll(/(?:(?<=^|\n)[ \t]*#.*\n)+/g)].map(({ index, 0: text }) => ({
    file,
    line: source.slice(0, index).split('\n').length,
    kind: 'comment',
    text: blanked(text.replaceAll(/(?<=^|\n)[ \t]*#/g, '')),
  }))
}

const notProse = /`[^`]*`|\{@link [^}]*\}|(?<=@param\s+)\S+|https?:\/\/\S+|(?<=\])\([^)]*\)/g

function blanked(text: string): string {
  return text.replaceAll(notProse, found => found.replaceAll(/\S/g, '_'))
}

function spaced(text: string): string {
  return text.replaceAll(/[^\n]/g, '')
}

function lineFinder(source: string): (offset: number) => number {
  const starts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)]
  return (offset) => {
    let [low, high] = [0, starts.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
