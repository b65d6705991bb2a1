// Commands that the Redis user may not run, or that the server does not know: each is told once, with what it costs.
import { Cluster, Command, type Redis } from 'ioredis'
import { costOf, probeScript } from './commands.ts'
import { withDeadline, type GuardedClient } from './guarded-client.ts'
import type { Log } from './log.ts'

export interface PermissionsOptions {
  readonly logger: Log
  /** What every key begins with. */
  readonly prefix: string
  /** One that nobody listens to, with a name like those that are listened to. */
  readonly channel: string
  /** Notes whether anything is refused. */
  impair(on: boolean): void
}

// How often it is tried again while anything is refused.
const againMs = 1000
const askTimeoutMs = 2000
// Names that are tried until one is found for each master of a cluster.
const mostNames = 1000
/** What scripts may not run; each with arguments that do no harm, to find out whether it is refused still. */
const outsideScripts: Readonly<Record<string, readonly string[]>> = {
  WAIT: ['0', '1'], ROLE: [], INFO: ['memory'], SCAN: ['0', 'COUNT', '1'], PING: [],
}

/** Whether Redis says that this user may not do it, or that it knows no such command (disabled, or renamed). */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && (/^NOPERM|^(?:ERR )?unknown command/i.test(error.message) || isRefusedInside(error.message))
}

function isRefusedInside(message: string): boolean {
  return /the user executing the script can't|unknown (?:redis )?command called from script|ACL failure in script/i.test(message)
}

// What is refused: a command by its name, or keys, or channels.
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

  /** Tries over this lane, each time that it has connected, what scripts run. */
  watch(lane: GuardedClient, masters: () => readonly Redis[]): void {
    this.#lane = lane
    this.#masters = masters
    lane.client.on('ready', () => void this.#check())
    // A cluster that tells nobody who owns what gives the reason so.
    lane.client.on('error', (error: Error & { lastNodeError?: unknown }) => this.refused(error.lastNodeError))
  }

  /** Takes note of an error that Redis has answered, if it is a refusal. */
  refused(error: unknown): void {
    if (!(error instanceof Error) || !isRefusal(error)) return
    const subject = isRefusedInside(error.message) ? undefined : subjectOf(error.message)
    if (subject !== undefined) this.#note(subject, error.message)
    else void this.#check()
  }

  /** Takes note that a command was run. */
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
        // SUBSCRIBE is tried by who subscribes.
        const tried = subject in outsideScripts || (whole && subject !== 'SUBSCRIBE')
        if (tried && !refused.has(subject)) this.worked(subject)
      }
      for (const [subject, message] of refused) this.#note(subject, message)
    } catch {
      // Redis is out of reach: the next connection tells.
    } finally {
      this.#checking = false
      if (this.#refused.size > 0) this.#later()
    }
  }

  // What is refused, with the message that says so; and whether the script that tries the commands could be run.
  async #tryAll(lane: GuardedClient): Promise<{ readonly refused: ReadonlyMap<string, string>, readonly whole: boolean }> {
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

  // One key for each server that holds keys.
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
