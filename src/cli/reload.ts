// `springhouse reload`: makes the running proxy read its configuration again, and says how that went.
import type { Command } from 'commander'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { say } from './failure.ts'
import { printJson } from './output.ts'

export function addReload(program: Command): void {
  adminVerb<AdminAccess>(program.command('reload').description('make the running proxy read its configuration again, as SIGHUP does'), reload)
}

async function reload(options: AdminAccess): Promise<void> {
  const { body } = await askAdmin(options, '/v1/reload', { body: {} })
  if (options.json === true) return printJson(body)
  process.stdout.write('configuration reloaded\n')
  const { waiting = [] } = body as { readonly waiting?: readonly string[] }
  if (waiting.length > 0) say(`changes of these settings wait for the next start: ${waiting.join(', ')}`)
}
