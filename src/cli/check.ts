// `springhouse check`: validates a configuration, and prints the result.
import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { say } from './failure.ts'

export function addCheck(program: Command): void {
  program.command('check')
    .description('check the configuration: print every problem, and exit with 1 if there is any')
    .option('--config <file>', 'configuration file, YAML or JSON (default: SPRINGHOUSE_CONFIG)')
    .option('--print', 'print the effective configuration, with environment and defaults; secrets are masked')
    .action(async (options: { config?: string; print?: boolean }) => {
      const [{ loadConfig }, { humanise, maskSecrets }, { configurationNotices }, { stringify }] = await Promise.all([import('../config/load.ts'), import('../config/mask.ts'),
        import('./configuration-notices.ts'), import('yaml')])
      const loaded = loadConfig({ file: options.config, env: process.env })
      const { config } = loaded
      for (const line of configurationNotices(loaded, systemClock.now())) say(line)
      process.stdout.write(options.print === true ? stringify(humanise(maskSecrets(config))) : 'config ok\n')
    })
}
