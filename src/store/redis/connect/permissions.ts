// Commands that Redis refuses to the user, or does not know: each is logged once, with what fails without it.
import { Cluster, Command, type Redis } from 'ioredis'
import { costOf, probeScript } from './commands.ts'
import { withDeadline, type GuardedClient } from './guarded-client.ts'
import type { Log } from './log.ts'

export interface PermissionsOptions {
  readonly logger: Log
  /** The prefix of every key. */
  readonly prefix: string
  /** A channel without subscribers, named like those that have some. */
  readonly channel: string
  /** Records whether anything is refused. */
  impair(on: boolean): void
}

// How often refused commands are tried again.
const againMs = 1000
const askTimeoutMs = 2000
// Names to try until one is found for each master of a cluster.
const mostNames = 1000
/** Commands that scripts may not run, each with harmless arguments, to find out whether it is still refused. */
const outsideScripts: Readonly<Record<string, readonly string[]>> = {
  WAIT: ['0', '1'],
  ROLE: [],
  INFO: ['memory'],
  SCAN: ['0', 'COUNT', '1'],
  PING: [],
}

/** True if Redis refuses a command to this user, or does not know it (disabled, or renamed). */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && (/^NOPERM|^(?:ERR )?unknown command/i.test(error.message) || isRefusedInside(error.message))
}

function isRefusedInside(message: string): boolean {
  return /the user executing the script can't|unknown (?:redis )?command called from script|ACL failure in script/i.test(message)
}

// Returns what is refused: a command by its name, or keys, or channels.
function subjectOf(message: string): string | undefined {
  const command = /(?:unknown command|run the) ['`"]([\w|.-]+)/i.exec(message)?.[1]
  if (command !== undefined) return command.toUpperCase()
  if (/\bchannels?\b/.test(message)) return 'channels'
  return /\bkeys?\b/.test(message) ? 'keys' : undefined
}

export class Permissions {
  readonly #options: PermissionsOptions
  readonly #refused = new Set<string>()
  #lane: GuardedClient | undefined
  #masters: () => readonly Redis[] = () => []
  #checking = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: PermissionsOptions) {
    this.#options = options
  }

  /** Tries the commands of scripts with this client, each time that it has connected. */
  watch(lane: GuardedClient, masters: () => readonly Redis[]): void {
    this.#lane = lane
    this.#masters = masters
    lane.client.on('ready', () => void this.#check())
    // A cluster that does not report its slots gives the reason here.
    lane.client.on('error', (error: Error & { lastNodeError?: unknown }) => this.refused(error.lastNodeError))
  }

  /** Records an error reply from Redis, if it is a refusal. */
  refused(error: unknown): void {
    if (!(error instanceof Error) || !isRefusal(error)) return
    const subject = isRefusedInside(error.message) ? undefined : subjectOf(error.message)
    if (subject !== undefined) this.#note(subject, error.message)
    else void this.#check()
  }

  /** Records that a command was executed. */
  worked(command: string): void {
    if (!this.#refused.delete(command)) return
    this.#options.logger.info({ command }, `Redis takes ${command} again`)
    this.#options.impair(this.#refused.size > 0)
  }

  #note(subject: string, message: string): void {
    if (!this.#refused.has(subject)) {
      this.#refused.add(subject)
      this.#options.impair(true)
      this.#options.logger.warn({ command: subject }, `${this.#whatIsRefused(subject, message)}: ${costOf(subject)}`)
    }
    this.#later()
  }

  #whatIsRefused(subject: string, message: string): string {
    const { prefix } = this.#options
    if (subject === 'keys') return `the Redis user may not access keys that begin with ${prefix}:`
    if (subject === 'channels') return `the Redis user may not use channels that begin with ${prefix}:`
    return /unknown/i.test(message) ? `Redis does not know the command ${subject}` : `the Redis user may not run ${subject}`
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#check()
    }, againMs).unref()
  }

  // A refusal inside a script does not name the command: all of them are tried.
  async #check(): Promise<void> {
    const lane = this.#lane
    if (this.#checking || lane === undefined) return this.#later()
    this.#checking = true
    try {
      const { refused, whole } = await this.#tryAll(lane)
      for (const subject of this.#refused) {
        // The subscriber itself tries SUBSCRIBE.
        const tried = subject in outsideScripts || (whole && subject !== 'SUBSCRIBE')
        if (tried && !refused.has(subject)) this.worked(subject)
      }
      for (const [subject, message] of refused) this.#note(subject, message)
    } catch {
      // Redis is out of reach: the next connection triggers another check.
    } finally {
      this.#checking = false
      if (this.#refused.size > 0) this.#later()
    }
  }

  // Returns what is refused, with the message, and whether the script that tries the commands could run.
  async #tryAll(lane: GuardedClient): Promise<{ readonly refused: ReadonlyMap<string, string>; readonly whole: boolean }> {
    const refused = new Map<string, string>()
    let whole = true
    const note = (error: unknown, command: string): void => {
      if (!(error instanceof Error) || !isRefusal(error)) throw error
      refused.set(subjectOf(error.message) ?? command, error.message)
    }
    for (const key of this.#keys(lane)) {
      try {
        const reply = await probeScript.run(lane, [key], [this.#options.channel], askTimeoutMs)
        const answers = Array.isArray(reply) ? reply.map(String) : []
        for (let i = 0; i + 1 < answers.length; i += 2) {
          const error = new Error(answers[i + 1])
          if (isRefusal(error)) note(error, answers[i] as string)
        }
      } catch (error) {
        note(error, 'EVALSHA')
        whole = false
      }
    }
    for (const [command, args] of Object.entries(outsideScripts)) {
      if (!this.#refused.has(command)) continue
      for (const server of this.#masters()) await withDeadline(server.call(command, ...args), askTimeoutMs).catch((error: unknown) => note(error, command))
    }
    return { refused, whole }
  }

  // Returns a key for each server that holds keys.
  #keys({ client }: GuardedClient): string[] {
    const { prefix } = this.#options
    if (!(client instanceof Cluster)) return [`${prefix}:{probe}`]
    const keys = new Map<string, string>()
    const masters = this.#masters().length
    for (let i = 0; i < mostNames && keys.size < masters; i++) {
      const key = `${prefix}:{probe ${i}}`
      const owner = client.slots[new Command('GET', [key]).getSlot() ?? 0]?.[0]
      if (owner !== undefined && !keys.has(owner)) keys.set(owner, key)
    }
    return [...keys.values()]
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#lane = undefined
  }
}
