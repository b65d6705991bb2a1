// `springhouse reload`: makes the running proxy read its configuration again, and says how that went.
import type { Command } from 'commander'
import { askAdmin, printJson, withAdminOptions, withJsonErrors, type AdminAccess } from './admin-client.ts'
import { say } from './failure.ts'

interface ReloadOptions extends AdminAccess {
  readonly json?: boolean
}

export function addReload(program: Command): void {
  const verb = program.command('reload').description('make the running proxy read its configuration again, as SIGHUP does')
  withAdminOptions(verb).action((options: ReloadOptions) => withJsonErrors(options.json, () => reload(options)))
}

async function reload(options: ReloadOptions): Promise<void> {
  const { body } = await askAdmin(options, '/v1/reload', { body: {} })
  if (options.json === true) return printJson(body)
  process.stdout.write('configuration reloaded\n')
  const { waiting = [] } = body as { readonly waiting?: readonly string[] }
  if (waiting.length > 0) say(`changes of these settings wait for the next start: ${waiting.join(', ')}`)
}
