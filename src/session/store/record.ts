// The fields of a session's hash in Redis, read as a record. The scripts list what each field holds.
import type { SessionRecord } from './store.ts'

/** Returns the field of a member. The name is JSON text, so that its length is the one that counts against the bound. */
export function memberField(name: string): string {
  return `d${JSON.stringify(name)}`
}

/** Returns the name of a member's field. */
export function memberName(field: string): string {
  return JSON.parse(field.slice(1)) as string
}

/** Returns the record of a hash; undefined if there is none. `damaged`: something else than these scripts has written it. */
export function decodeRecord(sid: string, reply: unknown): SessionRecord | 'damaged' | undefined {
  if (!Array.isArray(reply)) return 'damaged'
  if (reply.length === 0) return undefined
  try {
    return decoded(sid, reply.map(String))
  } catch {
    return 'damaged'
  }
}

function decoded(sid: string, parts: readonly string[]): SessionRecord | 'damaged' {
  const own = new Map<string, string>()
  const members: [name: string, text: string, number: number][] = []
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [field, value] = [parts[i] as string, parts[i + 1] as string]
    if (!field.startsWith('d')) {
      own.set(field, value)
      continue
    }
    const colon = value.indexOf(':')
    members.push([memberName(field), value.slice(colon + 1), wholeOf(value.slice(0, colon))])
  }
  members.sort((a, b) => a[2] - b[2])
  const whole = (field: string): number => wholeOf(own.get(field))
  const digest = own.get('h') ?? ''
  const transport = own.get('t')
  if (!/^[\w-]{43}$/.test(digest) || own.get('r') === undefined || (transport !== 'cookie' && transport !== 'token')) return 'damaged'
  return {
    sid,
    digest,
    issued: digestsOf(own.get('n')),
    replaced: digestsOf(own.get('p')),
    user: own.get('u'),
    realm: own.get('r') as string,
    version: whole('v'),
    createdAt: whole('c'),
    loginAt: own.has('l') ? whole('l') : undefined,
    lastSeenAt: whole('s'),
    endsAt: whole('e'),
    idleMs: whole('i'),
    remembered: own.has('k'),
    transport,
    label: own.get('b'),
    mark: own.get('m'),
    data: new Map(members.map(([name, text]) => [name, text])),
  }
}

function wholeOf(text: string | undefined): number {
  if (text === undefined || !/^\d{1,16}$/.test(text)) throw new Error('not a number')
  return Number(text)
}

function digestsOf(list = ''): string[] {
  return list.split(' ').filter(word => word !== '').map(word => word.slice(0, word.indexOf(':')))
}
