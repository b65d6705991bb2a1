// The programs that check the files of deploy/, if they are there.
import { spawnSync } from 'node:child_process'

/** Returns why a test is skipped, or false. CI installs each of them, and must run each test. */
export function skipWithout(name: string, args: readonly string[]): string | false {
  if (process.env['SPRINGHOUSE_TEST_EVERY_EXAMPLE'] === '1') return false
  return spawnSync(name, args, { stdio: 'ignore' }).error === undefined ? false : `${name} is not there, so the files for it are not tried`
}
