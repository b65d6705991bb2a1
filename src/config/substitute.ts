// Replaces references to the environment: ${NAME}, ${NAME:-default}, ${NAME:?message}, and $$ for a $.

/** The environment variables: process.env, or the values of a test. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A reference that cannot be replaced. */
export interface Fault {
  /** Index of its `$` in the text. */
  readonly at: number
  readonly message: string
}

/** A text with its references replaced. */
export interface Substitution {
  readonly text: string
  /** True if a reference was replaced. If so, the text is read as an environment variable would be. */
  readonly replaced: boolean
  /** Empty if every reference is valid and every variable that is needed is set. */
  readonly faults: readonly Fault[]
}

const beginning = /\$\{([A-Za-z_][A-Za-z0-9_]*)(:-|:\?|\})?/y
const deepest = 10

/**
 * Replaces the references of a text in one pass, so that the content of a variable is never searched for references.
 * `default` may hold references and pairs of braces; `message` is literal. `$NAME`, and any `${` that begins no reference, is
 * a fault. A `$` before anything else is literal. No message quotes the text after a `$`, because it may be a secret; a name
 * in braces is quoted.
 */
export function substitute(text: string, env: Environment): Substitution {
  const faults: Fault[] = []
  let replaced = false
  let at = 0

  /** Reads to the end of the text, or within a reference to its closing brace. */
  function read(depth: number, used: boolean): string {
    let result = ''
    let open = 0
    while (at < text.length) {
      const char = text[at] as string
      if (char === '$') {
        result += dollar(depth, used)
        continue
      }
      if (depth > 0 && char === '{') open++
      if (depth > 0 && char === '}' && open-- === 0) return result
      result += char
      at++
    }
    return result
  }

  function dollar(depth: number, used: boolean): string {
    const start = at
    if (text[at + 1] === '$') {
      at += 2
      return '$'
    }
    if (text[at + 1] !== '{') {
      if (/[A-Za-z_]/.test(text[at + 1] ?? '')) return refuse(start, '$NAME is not replaced: write ${NAME} for an environment variable, or $$ for the character')
      at++
      return '$'
    }
    beginning.lastIndex = at
    const [all = '', name = '', operator] = beginning.exec(text) ?? []
    if (operator === undefined) return refuse(start, `\${${name}…} is not replaced: write \${NAME}, \${NAME:-default} or \${NAME:?message}, or $$ for the character`)
    if (depth === deepest) return refuse(start, `references are nested deeper than ${deepest}`)
    at += all.length
    replaced = true
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (operator === '}') {
      if (value === undefined && used) faults.push({ at: start, message: `the environment variable ${name} is not set` })
      return value ?? ''
    }
    const missing = value === undefined || value === ''
    const word = operator === ':-' ? read(depth + 1, used && missing) : message()
    if (at > text.length) return ''
    if (at === text.length) return refuse(start, `\${${name}${operator}…} has no closing brace`)
    at++
    if (!missing) return value
    if (operator === ':-') return word
    if (used) faults.push({ at: start, message: `the environment variable ${name} is not set, or empty${word === '' ? '' : `: ${word}`}` })
    return ''
  }

  function message(): string {
    const start = at
    for (let open = 0; at < text.length; at++) {
      if (text[at] === '{') open++
      else if (text[at] === '}' && open-- === 0) break
    }
    return text.slice(start, at)
  }

  // Moves beyond the end, so that nothing more is read and no outer reference is reported to lack its brace.
  function refuse(start: number, why: string): string {
    faults.push({ at: start, message: why })
    at = text.length + 1
    return ''
  }

  return { text: read(0, true), replaced, faults }
}
