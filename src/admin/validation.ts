// Validates bodies and queries against their schemas, and reports every problem at once in readable sentences.
import { Ajv, type ErrorObject, type Options } from 'ajv'
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import { requestProblem, type AdminProblem, type RequestError } from './problems.ts'
import { tagFault } from '../http/tags.ts'
import { readAbsoluteUrl, readUrlPattern } from './url-pattern.ts'
import { nearestName } from '../nearest-name.ts'

/** The most listed errors. Further errors are counted only, so that the response stays smaller than the request. */
const maxErrors = 100
const maxNameChars = 100

/** Formats of the API's strings, each with the function that describes a problem. */
const formats: Readonly<Record<string, (text: string) => string | undefined>> = {
  'url-pattern': (text) => readUrlPattern(text).problem,
  'absolute-url': (text) => readAbsoluteUrl(text).problem,
  'tag': tagFault,
}

function makeAjv(options: Options): Ajv {
  // The schemas are this program's own, typed by TypeBox. To check them against the meta-schema would take longer than all other
  // work of a start; `strict` still refuses keywords that ajv does not know.
  const own = { meta: false, validateSchema: false } as const
  const ajv = new Ajv({ ...own, allErrors: true, removeAdditional: false, useDefaults: true, verbose: true, strict: true, strictTypes: false, ...options })
  for (const [name, problemOf] of Object.entries(formats)) ajv.addFormat(name, (text) => text === '' || problemOf(text) === undefined) // minLength refuses ''
  // A sentence that describes what a schema expects. It replaces ajv's message for a wrong type or a failed anyOf.
  ajv.addVocabulary(['x-expects'])
  return ajv
}

// The process has only these two. They remember compiled schemas, and all schemas are constants.
const typed = makeAjv({ coerceTypes: false })
const coercing = makeAjv({ coerceTypes: true })

/** The schema compiler of the listener. Only query values are coerced, because all of them are strings. */
export const schemaCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => (httpPart === 'body' ? typed : coercing).compile(schema)

/** Converts `/urls/0` (RFC 6901) to `urls[0]`. */
function readablePath(pointer: string, ...more: readonly string[]): string {
  const steps = pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return [...steps, ...more].map(cut).reduce((path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : path === '' ? step : `${path}.${step}`), '')
}

/** Shortens a name, which comes from the client and may be as long as its body. */
function cut(name: string): string {
  return name.length <= maxNameChars ? name : `${name.slice(0, maxNameChars)}…`
}

function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return 'no name is accepted here'
  const near = nearestName(name, known)
  return near === undefined ? `known are ${known.map((key) => JSON.stringify(key)).join(', ')}` : `did you mean ${JSON.stringify(near)}?`
}

function expectation(error: Partial<ErrorObject>): string | undefined {
  const expects: unknown = error.parentSchema?.['x-expects']
  return typeof expects === 'string' ? expects : undefined
}

function readableError(error: FastifySchemaValidationError & Partial<ErrorObject>): RequestError {
  const path = readablePath(error.instancePath)
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(error.params['additionalProperty'])
      const properties: unknown = error.parentSchema?.['properties']
      const known = typeof properties === 'object' && properties !== null ? Object.keys(properties) : []
      return { path: readablePath(error.instancePath, name), message: `is not known here; ${suggestion(name, known)}` }
    }
    case 'required':
      return { path: readablePath(error.instancePath, String(error.params['missingProperty'])), message: 'is needed' }
    case 'propertyNames':
      return { path: readablePath(error.instancePath, String(error.params['propertyName'])), message: 'is not a field name' }
    case 'format': {
      const problemOf = formats[String(error.params['format'])]
      return { path, message: problemOf?.(String(error.data)) ?? error.message ?? 'is not valid' }
    }
    case 'enum':
      return { path, message: `must be one of ${JSON.stringify(error.params['allowedValues']).slice(1, -1).replaceAll(',', ', ')}` }
    case 'minLength':
      return { path, message: 'must not be empty' }
    case 'anyOf':
    case 'type':
      return { path, message: expectation(error) ?? error.message ?? 'is not valid' }
    default:
      return { path, message: error.message ?? 'is not valid' }
  }
}

/** Converts ajv's errors to one 400. */
export function schemaErrors(errors: readonly FastifySchemaValidationError[]): AdminProblem {
  // Failures inside an anyOf or a name's pattern are reported by the error of the keyword itself.
  const told = errors.filter((error) => !/\/(?:anyOf|propertyNames)\//.test(error.schemaPath))
  const listed = told.slice(0, maxErrors).map(readableError)
  if (told.length > maxErrors) listed.push({ path: '', message: `and ${told.length - maxErrors} more` })
  return requestProblem(listed)
}
