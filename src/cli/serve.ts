// `springhouse serve`: the flags of the proxy.
import type { Command } from 'commander'
import type { ServeOptions } from './run.ts'

export function addServe(program: Command): void {
  program.command('serve')
    .description('run the proxy and its admin listener')
    .option('--config <file>', 'configuration file, YAML or JSON (default: SPRINGHOUSE_CONFIG)')
    .option('--origin <url>', 'origin server (repeatable); replaces the origins and routes of the file', (value: string, before: string[] = []) => [...before, value])
    .option('--port <port>', 'port of the proxy listener (default: 8080)')
    .option('--host <host>', 'address of the proxy listener (default: 0.0.0.0)')
    .option('--admin-port <port>', 'port of the admin listener (default: 8081)')
    .option('--admin-host <host>', 'address of the admin listener (default: 127.0.0.1)')
    .option('--redis <url>', 'Redis that replicas share (default: the embedded store, in memory)')
    .option('--workers <count>', 'number of processes, or auto for one per processor (default: 1)')
    .option('--default-ttl <duration>', 'freshness lifetime of responses that give none, on every route, such as 30s (default: none, or what the file says)')
    .option('--sessions', 'keep sessions for the backends (default: off, or what the file says)')
    .option('--watch', 'reload when the configuration file, or a file with a secret, changes; for Kubernetes ConfigMaps')
    .action(async (options: ServeOptions) => {
      // Loaded only here, so that the other commands start in a fraction of the time.
      const { serve } = await import('./run.ts')
      await serve(options)
    })
}
