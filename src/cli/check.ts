// `springhouse check`: validates a configuration, and prints the result.
import type { Command } from 'commander'
import { say } from './failure.ts'

export function addCheck(program: Command): void {
  program.command('check')
    .description('check the configuration: print every problem, and exit with 1 if there is any')
    .option('--config <file>', 'configuration file, YAML or JSON (default: SPRINGHOUSE_CONFIG)')
    .option('--print', 'print the effective configuration, with environment and defaults; secrets are masked')
    .action(async (options: { config?: string; print?: boolean }) => {
      const [{ loadConfig }, { humanise, maskSecrets }, { stringify }] = await Promise.all([import('../config/load.ts'), import('../config/mask.ts'), import('yaml')])
      const { config, notices } = loadConfig({ file: options.config, env: process.env })
      for (const notice of notices) say(notice)
      process.stdout.write(options.print === true ? stringify(humanise(maskSecrets(config))) : 'config ok\n')
    })
}
