// `springhouse sessions`: lists, shows, changes and ends sessions, and prints the public keys.
import type { Command } from 'commander'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { UNCONFIRMED, USAGE } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'
import { printJson, printJsonText } from './output.ts'

interface SessionsOptions extends AdminAccess {
  readonly user?: string
  readonly realm?: string
  readonly except?: string
  readonly data?: boolean
}

interface Listed {
  readonly sid: string
  readonly label: string | null
  readonly version: number
  readonly loginAt: number | null
  readonly lastSeenAt: number
  readonly endsAt: number
}

const inRealm = ['--realm <realm>', 'the realm of the user (default: default)'] as const

export function addSessions(program: Command): void {
  const verb = program.command('sessions').description('list, show, change and end sessions of the backends')
  const add = (name: string, description: string, act: (options: SessionsOptions, ...args: string[]) => Promise<void>): Command =>
    adminVerb(verb.command(name).description(description), act)
  add('list', 'list the sessions of a user', list).requiredOption('--user <user>', 'the user, as backends name it').option(...inRealm)
  add('show <id>', 'show a session, with the types of its data', show).option('--data', 'with the data itself; the admin listener logs that')
  add('revoke [id]', 'end a session, or all sessions of a user', revoke).option('--user <user>', 'all sessions of this user').option(...inRealm)
    .option('--except <id>', 'with --user: all but this one')
  add('patch <id> <json>', 'change the data of a session by a merge patch (RFC 7396)', change)
  add('keys', 'print the public keys with which backends verify Springhouse-Session', async (options) => printJson((await askAdmin(options, '/v1/sessions/keys')).body))
}

async function list(options: SessionsOptions): Promise<void> {
  const rows: Listed[] = []
  const query = new URLSearchParams({ user: options.user ?? '', ...(options.realm !== undefined && { realm: options.realm }) })
  for (;;) {
    const { body } = await askAdmin(options, `/v1/sessions?${query}`)
    const { sessions, cursor } = body as { sessions: Listed[]; cursor?: string }
    rows.push(...sessions)
    if (cursor === undefined) break
    query.set('cursor', cursor)
  }
  if (options.json === true) return printJson({ sessions: rows })
  const time = (ms: number | null): string => (ms === null ? '-' : new Date(ms).toISOString())
  process.stdout.write(
    columns([['session', 'label', 'version', 'logged in', 'last seen', 'ends'],
      ...rows.map(row => [row.sid, row.label ?? '-', String(row.version), time(row.loginAt), time(row.lastSeenAt), time(row.endsAt)])]),
  )
}

async function show(options: SessionsOptions, id = ''): Promise<void> {
  const { text } = await askAdmin(options, `/v1/sessions/${encodeURIComponent(id)}${options.data === true ? '?data=true' : ''}`)
  // As it was sent: parsed, big integers would be rounded.
  printJsonText(text)
}

async function revoke(options: SessionsOptions, id?: string): Promise<void> {
  if ((id === undefined) === (options.user === undefined)) throw new CommandFailure('sessions revoke: give either the id of a session, or --user', USAGE)
  if (options.except !== undefined && options.user === undefined) throw new CommandFailure('sessions revoke: --except needs --user', USAGE)
  const { status, body } = id === undefined
    ? await askAdmin(options, '/v1/sessions/revoke', {
      body: { user: options.user, ...(options.realm !== undefined && { realm: options.realm }), ...(options.except !== undefined && { except: options.except }) },
    })
    : await askAdmin(options, `/v1/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })
  const { revoked } = body as { revoked: number }
  if (options.json === true) printJson(body)
  const ended = revoked === 1 ? 'ended 1 session' : `ended ${revoked} sessions`
  if (status === 202) throw new CommandFailure(`${ended}, but no Redis replica has confirmed it: if the Redis master fails, a session may come back`, UNCONFIRMED)
  if (options.json !== true) process.stdout.write(`${ended}\n`)
}

async function change(options: SessionsOptions, id = '', patch = ''): Promise<void> {
  const { body } = await askAdmin(options, `/v1/sessions/${encodeURIComponent(id)}`, { method: 'PATCH', raw: patch })
  if (options.json === true) printJson(body)
  else process.stdout.write(`version ${(body as { version: number }).version}\n`)
}
