// The requests of a random history: the instruction of each operation, and what a response says.
import type { Answer } from '../support/client.ts'
import type { Claims } from './support.ts'

/** How often each operation is chosen. */
export const operations = { 'set': 6, 'remove': 1, 'set nested': 5, 'count': 3, 'read': 5, 'rotate': 1, 'login': 1, 'logout': 0.4, 'logout everywhere': 0.2 } as const
export type Operation = keyof typeof operations

export function instructionOf(operation: Operation, name: string, value: string | undefined, user: string | undefined): string | undefined {
  const [top = '', below] = name.split('.')
  switch (operation) {
    case 'read':
      return undefined
    case 'set':
    case 'remove':
      return JSON.stringify({ data: { [top]: value ?? null } })
    case 'set nested':
      return JSON.stringify({ data: { [top]: { [below as string]: value } } })
    case 'count':
      return 'count'
    case 'rotate':
      return '{"rotate":true}'
    case 'login':
      return JSON.stringify({ login: user })
    case 'logout':
      return '{"logout":true}'
    default:
      return '{"logout":"everywhere"}'
  }
}

export function claimsOf(answer: Answer | undefined): Claims | null {
  return answer === undefined ? null : (JSON.parse(answer.body.toString()) as { claims: Claims | null }).claims
}

export function codeOf(answer: Answer): string {
  try {
    return (JSON.parse(answer.body.toString()) as { code?: string }).code ?? ''
  } catch {
    return answer.body.toString().slice(0, 80)
  }
}

/** The members of a session's data, nested ones by `name.name`. */
export function valuesOf({ data = {} }: Claims): Map<string, string> {
  return new Map(
    Object.entries(data).flatMap(([name, value]): [string, string][] =>
      typeof value === 'object' && value !== null ? Object.entries(value).map(([below, each]) => [`${name}.${below}`, String(each)]) : [[name, String(value)]]
    ),
  )
}

/** Without the number of `count`, which is judged by itself. */
export function membersOf(claims: Claims): Map<string, string> {
  const values = valuesOf(claims)
  values.delete('n')
  return values
}

export function cookieOf(answer: Answer | undefined): string | undefined {
  const raw = answer?.rawHeaders ?? []
  const line = raw.find((part, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === 'set-cookie' && part.startsWith('__Host-session=shs1'))
  return line?.split(';')[0]
}
