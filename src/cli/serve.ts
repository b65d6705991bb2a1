// `springhouse serve`: its flags.
import type { Command } from 'commander'
import type { Flags } from '../config/load.ts'

export function addServe(program: Command): void {
  program.command('serve')
    .description('run the proxy and its admin listener')
    .option('--config <file>', 'YAML or JSON; without it SPRINGHOUSE_CONFIG')
    .option('--origin <url>', 'a server to ask (repeatable); in place of the origins and routes of the file', (value: string, before: string[] = []) => [...before, value])
    .option('--port <port>', 'port of the proxy listener (8080)')
    .option('--host <host>', 'address of the proxy listener (0.0.0.0)')
    .option('--admin-port <port>', 'port of the admin listener (8081)')
    .option('--admin-host <host>', 'address of the admin listener (127.0.0.1)')
    .option('--redis <url>', 'the Redis that replicas share; without it the embedded store')
    .option('--workers <count>', 'processes: a number, or auto for one per processor (1)')
    .action(async (options: Flags & { config?: string }) => {
      // Loaded by the verb that needs it: the other verbs start in a fraction of the time.
      const { serve } = await import('./run.ts')
      await serve(options)
    })
}
