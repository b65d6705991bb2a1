// The field that decided that a response is not stored, for explain: its name, and as much of its value as may be shown.
import { fieldLineValues, fieldValue, hasField, type FieldLines } from '../http/fields.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { NotStoredReason } from './reasons.ts'
import type { RequestField } from './vary.ts'

/** `value`: without secrets. It holds only the names in Cookie and Set-Cookie; undefined if the field is absent or its value is secret. */
export interface DecidingField {
  readonly of: 'request' | 'response'
  readonly field: string
  readonly value?: string
}

/** Returns the field behind a reason; undefined if no field of the message alone decides. @param tagFields the names of fields that carry tags */
export function decidingField(reason: NotStoredReason, requestField: RequestField, response: FieldLines, tagFields: readonly string[]): DecidingField | undefined {
  switch (reason) {
    case 'no-store':
    case 'private':
    case 'must-understand':
      return directiveField(response, directives[reason])
    case 'not-fresh':
    case 'bad-lifetime':
      return directiveField(response, maxAge) ?? valued(response, 'Expires')
    case 'no-lifetime':
      return valued(response, 'Cache-Control')
    case 'authorization':
      return { of: 'request', field: 'Authorization' }
    case 'cookie':
      return { of: 'request', field: 'Cookie', ...shown(cookieNames(requestField('cookie') ?? '')) }
    case 'set-cookie':
      return { of: 'response', field: 'Set-Cookie', ...shown(setCookieNames(response)) }
    case 'session-instruction':
      return { of: 'response', field: 'Springhouse-Session-Set' }
    case 'vary-star':
      return valued(response, 'Vary')
    case 'request-no-store':
      return { of: 'request', field: 'Cache-Control', ...shown(requestField('cache-control') ?? requestField('pragma') ?? '') }
    case 'partial':
      return valued(response, 'Content-Range')
    case 'too-large':
      return valued(response, 'Content-Length')
    case 'bad-cache-groups':
      return valued(response, 'Cache-Groups')
    case 'too-many-tags': {
      const name = tagFields.find(each => hasField(response, each))
      return name === undefined ? undefined : { of: 'response', field: name }
    }
    case 'incomplete':
      return valued(response, 'Content-Type')
    case 'status':
    case 'request-method':
    case 'store-refused':
      return undefined
  }
}

/** Fields with cache directives, in the order in which they count (directives.ts). */
const directiveFields = ['CDN-Cache-Control', 'Surrogate-Control', 'Cache-Control'] as const

const directives = { 'no-store': /no-store/i, 'private': /private/i, 'must-understand': /must-understand/i } as const
/** max-age and s-maxage. */
const maxAge = /max-?age/i

function directiveField(response: FieldLines, named: RegExp): DecidingField | undefined {
  const name = directiveFields.find(field => named.test(fieldValue(response, field.toLowerCase()) ?? ''))
  return name === undefined ? undefined : valued(response, name)
}

function valued(response: FieldLines, field: string): DecidingField | undefined {
  const value = fieldValue(response, field.toLowerCase())
  return value === undefined ? undefined : { of: 'response', field, ...shown(value) }
}

const maxChars = 80

/** A value as it is shown: its beginning, in printable ASCII. */
function shown(value: string): { readonly value: string } | undefined {
  const printable = value.slice(0, maxChars + 1).replaceAll(/[^ -~]/g, '?')
  return value === '' ? undefined : { value: printable.length > maxChars ? `${printable.slice(0, maxChars)}…` : printable }
}

function setCookieNames(response: FieldLines): string {
  return fieldLineValues(response, 'set-cookie').slice(0, 8).map(line => nameOf(line.slice(0, maxChars))).join(', ')
}

function cookieNames(cookies: string): string {
  return cookies.slice(0, 16 * maxChars).split(';', 16).map(nameOf).filter(name => name !== '').slice(0, 8).join(', ')
}

// Text without `=` may be a value: it is not shown.
function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  return equals === -1 ? '' : withoutOuterSpace(pair, 0, equals)
}
