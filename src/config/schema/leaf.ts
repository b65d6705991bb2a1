// How a setting is described: one call gives its type, bounds, default, unit and prose.
import { Type } from 'typebox'
import type { FormatName } from '../formats.ts'

/** What the program's own readers of the schema look for beside the JSON Schema keywords. */
export interface Annotations {
  /**
   * How a number is written by people. `duration`: milliseconds, written with a unit only; `ms`: milliseconds, for names
   * that end in Ms, where a bare number will do; `bytes`: a size, where a bare number will do.
   */
  readonly unit?: 'duration' | 'ms' | 'bytes'
  /** What would be right, as it follows "expected", where the type does not say it. */
  readonly expects?: string
  /** Never shown: not in messages, not by `check --print`. Given with `withFile`, so that it may come from a file. */
  readonly secret?: boolean
  /** The path of a file: the setting beside it with this name is read from there. */
  readonly fileOf?: string
  /** A default that depends on the setting's neighbours, named for the reference. */
  readonly derived?: { readonly prose: string; readonly from: (section: Readonly<Record<string, unknown>>) => unknown }
}

interface Prose {
  readonly prose: string
}
interface Bounds extends Prose {
  readonly min?: number
  readonly max: number
  readonly default?: number
}

function bounded({ prose, min = 0, max, ...rest }: Bounds & Annotations) {
  return Type.Integer({ ...rest, minimum: min, maximum: max, description: prose })
}

export const whole = (bounds: Bounds) => bounded(bounds)
export const duration = (bounds: Bounds) => bounded({ ...bounds, unit: 'duration' })
export const millis = (bounds: Bounds) => bounded({ ...bounds, unit: 'ms' })
export const size = (bounds: Bounds & Pick<Annotations, 'derived'>) => bounded({ ...bounds, unit: 'bytes' })

export function flag(options: Prose & { readonly default: boolean }) {
  return Type.Boolean({ default: options.default, description: options.prose })
}

export function text(format: FormatName, { prose, ...rest }: Prose & Pick<Annotations, 'secret' | 'fileOf'> & { readonly default?: string }) {
  return Type.String({ ...rest, format, description: prose })
}

type WithFile<Name extends string, Leaf extends Type.TSchema> = { [name in Name]: Leaf } & { [name in `${Name}File`]: Type.TOptional<Type.TString> }

/** A setting that holds a secret, and beside it one for the path of a file that holds it (`password`, `passwordFile`). */
export function withFile<const Name extends string, Leaf extends Type.TSchema>(name: Name, leaf: Leaf): WithFile<Name, Leaf> {
  const file = Type.Optional(text('file-path', { fileOf: name, prose: `Path of a file that holds \`${name}\`, in its place. It is read again on SIGHUP.` }))
  // Safe: these are its two members, which TypeScript cannot tell of computed names.
  return { [name]: leaf, [`${name}File`]: file } as WithFile<Name, Leaf>
}

/** A list of short texts: a comma list in the environment. */
export function texts(format: FormatName, { prose, ...rest }: Prose & { readonly default?: string[]; readonly minItems?: number }) {
  return Type.Array(Type.String({ format }), { ...rest, uniqueItems: true, description: prose })
}

export function choice<const Values extends string[]>(values: readonly [...Values], options: Prose & { readonly default: Values[number] }) {
  return Type.Enum(values, { default: options.default, description: options.prose })
}

/** A map of settings: what it does not name is refused. */
export function section<Properties extends Type.TProperties>(properties: Properties, prose?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(prose !== undefined && { description: prose }) })
}
