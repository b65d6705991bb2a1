// Builders for settings: one call gives a setting's type, bounds, default, unit and prose.
import { Type, type TOptional, type TProperties, type TSchema, type TString } from '../../json-schema.ts'
import type { FormatName } from '../formats.ts'
import { formatDuration } from '../units.ts'

/** The project's own annotations beside the JSON Schema keywords. */
export interface Annotations {
  /**
   * How an operator writes the number. `duration`: milliseconds, always with a unit. `ms`: milliseconds, for names that end
   * in Ms; a bare number is allowed. `bytes`: a size; a bare number is allowed.
   */
  readonly unit?: 'duration' | 'ms' | 'bytes'
  /** The text that follows "expected" in a message, if the type does not give it. */
  readonly expects?: string
  /** Never shown: not in messages, not by `check --print`. Declare it with `withFile`, so that a file can hold it. */
  readonly secret?: boolean
  /** The name of the neighbouring setting that this setting's file holds. */
  readonly fileOf?: string
  /** A default that depends on the setting's neighbours, with its text for the reference. */
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

/** A duration, or `off`. */
export function durationOrOff({ prose, max, default: fallback }: Prose & { readonly max: number; readonly default: number }) {
  return Type.Union([duration({ max, prose: '' }), Type.Literal('off')], {
    default: fallback,
    unit: 'duration',
    expects: `a duration with its unit, such as 500ms, 30s or 5m, from 0s to ${formatDuration(max)}, or off`,
    description: prose,
  })
}

export function flag(options: Prose & { readonly default: boolean }) {
  return Type.Boolean({ default: options.default, description: options.prose })
}

export function text(format: FormatName, { prose, ...rest }: Prose & Pick<Annotations, 'secret' | 'fileOf'> & { readonly default?: string }) {
  return Type.String({ ...rest, format, description: prose })
}

type WithFile<Name extends string, Leaf extends TSchema> = { [name in Name]: Leaf } & { [name in `${Name}File`]: TOptional<TString> }

/** A setting for a secret, and one for the path of a file that holds the secret (`password`, `passwordFile`). */
export function withFile<const Name extends string, Leaf extends TSchema>(name: Name, leaf: Leaf): WithFile<Name, Leaf> {
  const file = Type.Optional(text('file-path', { fileOf: name, prose: `Path of a file that holds \`${name}\`; give one of the two. The file is read again at a reload.` }))
  // Safe: the object has exactly these two members. TypeScript cannot infer computed names.
  return { [name]: leaf, [`${name}File`]: file } as WithFile<Name, Leaf>
}

/** A list of short texts. In the environment it is a comma list. */
export function texts(format: FormatName, { prose, ...rest }: Prose & { readonly default?: string[]; readonly minItems?: number }) {
  return Type.Array(Type.String({ format }), { ...rest, uniqueItems: true, description: prose })
}

export function choice<const Values extends string[]>(values: readonly [...Values], options: Prose & { readonly default: Values[number] }) {
  return Type.Enum(values, { default: options.default, description: options.prose })
}

/** The names that the members of a map may have. A walk uses the expressions, and the schema holds their sources. */
export const memberNames = {
  /** A DNS label, because the program uses the name as one. */
  origin: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u,
  errorStatus: /^[45][0-9]{2}$/u,
  facet: /^[^\p{Cc}]{1,64}$/u,
  field: /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/u,
}

/** A map of settings. A name that it does not list is refused. */
export function section<Properties extends TProperties>(properties: Properties, prose?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(prose !== undefined && { description: prose }) })
}
