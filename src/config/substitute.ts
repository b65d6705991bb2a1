// ${NAME} in the values of a file, replaced from the environment.

/** Where values come from: process.env, or what a test gives. */
export type Environment = Readonly<Record<string, string | undefined>>

// Private-use characters that stand for `${` and `}` while the file is parsed. A flow map (`{ token: ${TOKEN} }`) would
// otherwise be a syntax error; as many characters as they stand for, so that columns in messages stay right.
const open = '\uE000\uE000'
const close = '\uE001'
const reference = /(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g
const marked = new RegExp(`${open}(\\w+)${close}`, 'g')

/** The text of a file with its references marked, so that no YAML rule touches them. */
export function markReferences(text: string): string {
  return text.replace(reference, `${open}$1${close}`)
}

/** Undoes markReferences, for messages that quote the file. */
export function unmarkReferences(text: string): string {
  return text.replace(marked, '${$1}')
}

export function hasReference(value: string): boolean {
  return value.includes(open)
}

/**
 * A value with its references replaced, after the file was parsed: so what a variable holds is never read as YAML.
 * `$${` is a `${` that is meant. `missing` is told of each variable that is unset.
 */
export function substitute(value: string, env: Environment, missing: (name: string) => void): string {
  return value
    .replace(marked, (_, name: string) => {
      const found = env[name]
      if (found === undefined) missing(name)
      return found ?? ''
    })
    .replaceAll('$${', '${')
}
