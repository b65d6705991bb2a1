// A backtracking matcher that counts its steps: how the work of an expression grows, without a clock.

/** A node of an expression. */
export type Node =
  | { readonly type: 'char'; readonly test: (char: string) => boolean }
  | { readonly type: 'all'; readonly of: readonly Node[] }
  | { readonly type: 'any'; readonly of: readonly Node[] }
  | { readonly type: 'repeat'; readonly of: Node; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly type: 'look'; readonly of: Node; readonly wanted: boolean; readonly back: number }
  | { readonly type: 'at'; readonly test: (text: string, at: number) => boolean }

/** Parses the syntax that the sources use. Throws for other syntax, so that nothing goes untested. */
export function parseExpression({ source, flags }: RegExp): Node {
  const charFlags = flags.replace(/[dgmy]/g, '')
  const known = new Map<string, (char: string) => boolean>()
  let at = 0

  const charNode = (written: string): Node => {
    let test = known.get(written)
    if (test === undefined) {
      const one = new RegExp(`^${written}$`, charFlags)
      const answers = new Map<string, boolean>()
      test = (char) => {
        let answer = answers.get(char)
        if (answer === undefined) answers.set(char, answer = one.test(char))
        return answer
      }
      known.set(written, test)
    }
    return { type: 'char', test }
  }
  const isWord = (char: string | undefined): boolean => char !== undefined && /\w/.test(char)
  const multiline = flags.includes('m')

  const disjunction = (): Node => {
    const of = [alternative()]
    while (source[at] === '|') {
      at++
      of.push(alternative())
    }
    return of.length === 1 ? of[0] as Node : { type: 'any', of }
  }
  const alternative = (): Node => {
    const of: Node[] = []
    while (at < source.length && source[at] !== '|' && source[at] !== ')') of.push(quantified(atom()))
    return { type: 'all', of }
  }
  const quantified = (of: Node): Node => {
    const [written, min = '', comma, max] = /^(?:[*+?]|\{(\d+)(,)?(\d+)?\})/.exec(source.slice(at)) ?? []
    if (written === undefined) return of
    at += written.length
    const lazy = source[at] === '?'
    if (lazy) at++
    if (written === '*') return { type: 'repeat', of, min: 0, max: Infinity, lazy }
    if (written === '+') return { type: 'repeat', of, min: 1, max: Infinity, lazy }
    if (written === '?') return { type: 'repeat', of, min: 0, max: 1, lazy }
    return { type: 'repeat', of, min: Number(min), max: comma === undefined ? Number(min) : max === undefined ? Infinity : Number(max), lazy }
  }
  const atom = (): Node => {
    const rest = source.slice(at)
    const group = /^\((?:\?:|\?<?[=!]|\?<\w+>)?/.exec(rest)?.[0]
    if (group !== undefined) {
      if (/^\(\?(?![:=!]|<[\w=!])/.test(rest)) throw new Error(`a group that the step counter does not know: ${source}`)
      at += group.length
      const of = disjunction()
      at++
      return /[=!]$/.test(group) ? { type: 'look', of, wanted: group.endsWith('='), back: group.includes('<') ? widthOf(of, source) : 0 } : of
    }
    if (rest.startsWith('^')) {
      at++
      return { type: 'at', test: (text, i) => i === 0 || (multiline && text[i - 1] === '\n') }
    }
    if (rest.startsWith('$')) {
      at++
      return { type: 'at', test: (text, i) => i === text.length || (multiline && text[i] === '\n') }
    }
    if (/^\\[bB]/.test(rest)) {
      at += 2
      return { type: 'at', test: (text, i) => (isWord(text[i - 1]) !== isWord(text[i])) === rest.startsWith('\\b') }
    }
    if (/^\\[1-9k]/.test(rest)) throw new Error(`a back reference, which the step counter does not know: ${source}`)
    const written = /^(?:\[(?:[^\]\\]|\\.)*\]|\\(?:u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[^}]*\}|c[A-Za-z]|.)|[^])/.exec(rest)?.[0] as string
    at += written.length
    return charNode(written)
  }

  const node = disjunction()
  if (at !== source.length) throw new Error(`the step counter cannot read ${source} from ${at} on`)
  return node
}

/** Returns how many characters a node takes. A lookbehind must know it. */
function widthOf(node: Node, source: string): number {
  if (node.type === 'char') return 1
  if (node.type === 'all') return node.of.reduce((sum, each) => sum + widthOf(each, source), 0)
  throw new Error(`a look behind that the step counter does not know: ${source}`)
}

/** More steps than any linear expression takes of the texts that are tried. */
class TooMany extends Error {}

/** Where an expression is tried: up to its first match, up to the last of all, or where the last ended and nowhere else. */
export type Search = 'first' | 'all' | 'sticky'

/** How many steps a backtracking matcher takes; Infinity: over `limit`. */
export function stepsOf(node: Node, text: string, search: Search, limit = 200_000): number {
  let steps = 0
  const run = (each: Node, at: number, then: (at: number) => boolean): boolean => {
    if (++steps > limit) throw new TooMany()
    switch (each.type) {
      case 'char':
        return at < text.length && each.test(text[at] as string) && then(at + 1)
      case 'at':
        return each.test(text, at) && then(at)
      case 'all':
        return sequence(each.of, 0, at, then)
      case 'any':
        return each.of.some((way) => run(way, at, then))
      case 'look':
        return (at >= each.back && run(each.of, at - each.back, () => true)) === each.wanted && then(at)
      case 'repeat':
        return repeated(each, 0, at, then)
    }
  }
  const sequence = (nodes: readonly Node[], first: number, at: number, then: (at: number) => boolean): boolean =>
    first === nodes.length ? then(at) : run(nodes[first] as Node, at, (next) => sequence(nodes, first + 1, next, then))
  const repeated = (each: Node & { type: 'repeat' }, times: number, at: number, then: (at: number) => boolean): boolean => {
    const more = (): boolean => times < each.max && run(each.of, at, (next) => (next > at || times < each.min) && repeated(each, times + 1, next, then))
    if (times < each.min) return more()
    return each.lazy ? then(at) || more() : more() || then(at)
  }
  try {
    for (let start = 0; start <= text.length; start++) {
      let end = -1
      run(node, start, (at) => {
        end = at
        return true
      })
      if (end < 0 && search !== 'sticky') continue
      if (end < 0 || search === 'first') break
      if (end > start) start = end - 1
    }
  } catch (error) {
    if (!(error instanceof TooMany)) throw error
    return Infinity
  }
  return steps
}

const pool = [...Array.from({ length: 128 }, (_, i) => String.fromCharCode(i)), '\x80', '\xa0', 'é', '\u2028', '\u{212a}', '\ud800', '\ue000', '\uffff']
// People read the printed characters.
pool.sort((a, b) => Number(/\w/.test(b)) - Number(/\w/.test(a)))

/** Returns one character of each kind that an expression distinguishes. */
function kindsOf(node: Node): string[] {
  const tests: ((char: string) => boolean)[] = []
  walk(node, (each) => {
    if (each.type === 'char' && !tests.includes(each.test)) tests.push(each.test)
  })
  const kinds = new Map<string, string>()
  for (const char of pool) {
    const kind = tests.map((test) => (test(char) ? '1' : '0')).join('')
    if (!kinds.has(kind)) kinds.set(kind, char)
  }
  return [...kinds.values()]
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  if (node.type === 'all' || node.type === 'any') node.of.forEach((each) => walk(each, visit))
  else if (node.type === 'repeat' || node.type === 'look') walk(node.of, visit)
}

/** A text that the node takes, with `times` rounds of optional parts. */
function sample(node: Node, times: number): string {
  switch (node.type) {
    case 'char':
      return pool.find(node.test) ?? ''
    case 'all':
      return node.of.map((each) => sample(each, times)).join('')
    case 'any':
      return sample(node.of[times % node.of.length] as Node, times)
    case 'repeat':
      return sample(node.of, times).repeat(Math.min(node.max, Math.max(node.min, times)))
    default:
      return ''
  }
}

/** Returns each repetition's body, and the text before it. */
function repetitions(node: Node, times: number): { before: string; body: string }[] {
  const found: { before: string; body: string }[] = []
  const visit = (each: Node, before: string): string => {
    if (each.type === 'all') return each.of.reduce((text, next) => visit(next, text), before)
    if (each.type === 'any') { for (const way of each.of) visit(way, before) }
    if (each.type === 'look') visit(each.of, before)
    if (each.type === 'repeat') {
      if (each.max > 1) found.push({ before, body: sample(each.of, Math.max(1, times)) })
      visit(each.of, before)
    }
    return before + sample(each, times)
  }
  visit(node, '')
  return found
}

/**
 * An upper bound for the ways in which a node can take a text from one start: Infinity if that grows with the text. The steps from
 * one start are at most so many times the nodes, repeated as often as they may be.
 */
function waysOf(node: Node): number {
  switch (node.type) {
    case 'all':
      return node.of.reduce((product, each) => product * waysOf(each), 1)
    case 'any':
      return node.of.reduce((sum, each) => sum + waysOf(each), 0)
    case 'look':
      return waysOf(node.of)
    case 'repeat': {
      if (node.max === Infinity) return Infinity
      const each = waysOf(node.of)
      let ways = 0
      for (let times = node.min; times <= node.max; times++) ways += each ** times
      return ways
    }
    default:
      return 1
  }
}

const fewWays = 1_000
const short = 40
const long = 160

/** A text with which the work of an expression grows faster than its length; undefined: none was found. */
export function superLinear(expression: RegExp): string | undefined {
  const node = parseExpression(expression)
  // Then the steps from each start are few, however long the text is.
  if (waysOf(node) <= fewWays) return undefined
  let nodes = 0
  walk(node, () => nodes++)
  const kinds = kindsOf(node)
  const parts = [...repetitions(node, 0), ...repetitions(node, 1), ...repetitions(node, 2)]
  const befores = [...new Set(['', ...parts.map(({ before }) => before)])].slice(0, 12)
  const starts = [...new Set([...befores, ...kinds])]
  const special = [...new Set([...parts.flatMap(({ before, body }) => [before, body, before + body]), sample(node, 1), sample(node, 1).slice(0, -1)])].filter((pump) =>
    pump !== '' && pump.length <= long / 4
  )
  const single = [...kinds, ...special]
  const pairs = kinds.flatMap((a) => kinds.map((b) => a + b))
  const outside = kinds.at(-1) as string
  const search = expression.sticky ? 'sticky' : expression.global ? 'all' : 'first'
  const attack = (before: string, pump: string, after: string, length: number): string => before + pump.repeat(Math.ceil(length / pump.length)) + after
  const grows = (before: string, pump: string, after: string): boolean => {
    const many = stepsOf(node, attack(before, pump, after, long), search)
    if (many <= long * nodes * 2) return false
    return many === Infinity || many > stepsOf(node, attack(before, pump, after, short), search) * (long / short) * 2
  }
  for (const [from, pumps, afters] of [[starts, single, ['', ...kinds]], [befores, pairs, ['', outside]]] as const) {
    for (const before of from) for (const pump of pumps) for (const after of afters) if (grows(before, pump, after)) return attack(before, pump, after, short)
  }
  return undefined
}
