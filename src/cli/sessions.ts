// `springhouse sessions`: lists, shows, changes and ends sessions, and prints the public keys.
import type { Command } from 'commander'
import { askAdmin, printJson, withAdminOptions, withJsonErrors, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { CommandFailure, RECORDED, USAGE } from './failure.ts'

interface SessionsOptions extends AdminAccess {
  readonly user?: string
  readonly realm?: string
  readonly except?: string
  readonly data?: boolean
  readonly json?: boolean
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
  const add = (name: string, description: string): Command => withAdminOptions(verb.command(name).description(description))
  add('list', 'list the sessions of a user').requiredOption('--user <user>', 'the user, as backends name it').option(...inRealm)
    .action((options: SessionsOptions) => withJsonErrors(options.json, () => list(options)))
  add('show <id>', 'show a session, with the types of its data').option('--data', 'with the data itself; the admin listener logs that')
    .action((id: string, options: SessionsOptions) => withJsonErrors(options.json, () => show(id, options)))
  add('revoke [id]', 'end a session, or all sessions of a user').option('--user <user>', 'all sessions of this user').option(...inRealm)
    .option('--except <id>', 'with --user: all but this one')
    .action((id: string | undefined, options: SessionsOptions) => withJsonErrors(options.json, () => revoke(id, options)))
  add('patch <id> <json>', 'change the data of a session by a merge patch (RFC 7396)')
    .action((id: string, patch: string, options: SessionsOptions) => withJsonErrors(options.json, () => change(id, patch, options)))
  add('keys', 'print the public keys with which backends verify Springhouse-Session')
    .action((options: SessionsOptions) => withJsonErrors(options.json, async () => printJson((await askAdmin(options, '/v1/sessions/keys')).body)))
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

async function show(id: string, options: SessionsOptions): Promise<void> {
  const { text } = await askAdmin(options, `/v1/sessions/${encodeURIComponent(id)}${options.data === true ? '?data=true' : ''}`)
  // As it was sent: parsed, big integers would be rounded.
  process.stdout.write(`${text}\n`)
}

async function revoke(id: string | undefined, options: SessionsOptions): Promise<void> {
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
  if (status === 202) throw new CommandFailure(`${ended}, but no Redis replica has confirmed it: if the Redis master fails, a session may come back`, RECORDED)
  if (options.json !== true) process.stdout.write(`${ended}\n`)
}

async function change(id: string, patch: string, options: SessionsOptions): Promise<void> {
  const { body } = await askAdmin(options, `/v1/sessions/${encodeURIComponent(id)}`, { method: 'PATCH', raw: patch })
  if (options.json === true) printJson(body)
  else process.stdout.write(`version ${(body as { version: number }).version}\n`)
}
