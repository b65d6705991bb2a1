// Builds JSON Schemas with TypeBox's types and none of its code, which costs a fifth of a start. Only types come from TypeBox.
import type { Type as TypeBox } from 'typebox'

export type { Static, TOptional, TProperties, TSchema, TString } from 'typebox'

type Options = Readonly<Record<string, unknown>>

/** Members of a map that may be absent. Weak, because the mark must not show in the schema. */
const optional = new WeakSet<object>()

const builder = {
  Object: (properties: Readonly<Record<string, object>>, options: Options = {}) => {
    const required = Object.keys(properties).filter((name) => !optional.has(properties[name] as object))
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...options }
  },
  Array: (items: object, options: Options = {}) => ({ type: 'array', items, ...options }),
  /** A map whose keys match the pattern of `key`. */
  Record: (key: { readonly pattern?: string }, value: object, options: Options = {}) => ({ type: 'object', patternProperties: { [key.pattern ?? '^.*$']: value }, ...options }),
  String: (options: Options = {}) => ({ type: 'string', ...options }),
  Integer: (options: Options = {}) => ({ type: 'integer', ...options }),
  Number: (options: Options = {}) => ({ type: 'number', ...options }),
  Null: (options: Options = {}) => ({ type: 'null', ...options }),
  Boolean: (options: Options = {}) => ({ type: 'boolean', ...options }),
  Enum: (values: readonly string[], options: Options = {}) => ({ enum: values, ...options }),
  Literal: (value: string | number | boolean, options: Options = {}) => ({ type: typeof value, const: value, ...options }),
  Union: (anyOf: readonly object[], options: Options = {}) => ({ anyOf, ...options }),
  Optional: (schema: object) => {
    const copy = { ...schema }
    optional.add(copy)
    return copy
  },
}

/** TypeBox's builders of the schemas that this project uses. test/config/generated.test.ts compares them with TypeBox itself. */
// Safe: each gives what TypeBox gives, less its hidden marks, which only TypeBox's own functions read.
export const Type = builder as unknown as Pick<typeof TypeBox, keyof typeof builder>
