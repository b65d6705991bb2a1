// The token that a command sends to the admin API, and its source.
import { textFormat } from '../config/formats.ts'
import { readSecretFile } from '../config/secret-file.ts'
import { USAGE } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'

/** The flags that give a command its token. */
export interface TokenOptions {
  readonly token?: string
  readonly tokenFile?: string
}

/** A token, and its source for the message if the admin API refuses it. */
export interface GivenToken {
  readonly token: string
  readonly from: string
}

/**
 * Returns the token from the flags, else from SPRINGHOUSE_ADMIN_TOKEN or SPRINGHOUSE_ADMIN_TOKEN_FILE; undefined if none is given.
 * @throws CommandFailure if the token is given twice, or its file cannot be used.
 */
export function givenToken({ token, tokenFile }: TokenOptions, env: Readonly<Record<string, string | undefined>>): GivenToken | undefined {
  if (token !== undefined && tokenFile !== undefined) throw new CommandFailure('the token is given twice: as --token and as --token-file; leave one of them out', USAGE)
  if (tokenFile !== undefined) return fromFile(tokenFile, '--token-file')
  if (token !== undefined) return { token, from: '--token or SPRINGHOUSE_ADMIN_TOKEN' }
  const variable = env.SPRINGHOUSE_ADMIN_TOKEN || undefined
  const file = env.SPRINGHOUSE_ADMIN_TOKEN_FILE || undefined
  if (variable !== undefined && file !== undefined)
    throw new CommandFailure('the token is given twice: as SPRINGHOUSE_ADMIN_TOKEN and as SPRINGHOUSE_ADMIN_TOKEN_FILE; leave one of them out', USAGE)
  if (file !== undefined) return fromFile(file, 'SPRINGHOUSE_ADMIN_TOKEN_FILE')
  return variable === undefined ? undefined : { token: variable, from: '--token or SPRINGHOUSE_ADMIN_TOKEN' }
}

function fromFile(file: string, source: string): GivenToken {
  const found = readSecretFile(file)
  if (!found.usable) throw new CommandFailure(`${source}: ${found.why}`)
  const { test, expects } = textFormat('bearer-token')
  if (!test(found.secret)) throw new CommandFailure(`${source}: ${file} does not hold ${expects}`)
  return { token: found.secret, from: file }
}
