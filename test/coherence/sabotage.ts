// Takes a mend out of a copy of the compiled program, to show that the check finds the fault.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TroubleKind } from './trouble.ts'

interface Edit {
  /** Below src, as compiled. */
  readonly file: string
  readonly text: string
  readonly replacement: string
}

interface Sabotage {
  /** The fault without the mend. */
  readonly about: string
  /** The trouble in which the fault shows. */
  readonly trouble: TroubleKind
  readonly edits: readonly Edit[]
}

/** Not a mend: one replica follows another log than the others. */
export const deaf = 'deaf'

const table = {
  'unrecorded-forgotten': {
    about: 'an invalidation by an unsafe request is lost while Redis is in trouble',
    trouble: 'posts without Redis',
    edits: [{ file: 'store/redis/purge-log/log.js', text: 'this.#unrecorded.add(invalidation);', replacement: '' }],
  },
  'order-by-time': {
    about: 'a clock that runs ahead makes URLs uncacheable, and no purge helps',
    trouble: 'replica clock',
    edits: [
      { file: 'store/order.js', text: 'return logOf(stored.stamp) === logOf(next.stamp) && stored.stamp > next.stamp;',
        replacement: 'return stored.requestTimeMs > next.requestTimeMs;' },
      { file: 'store/order.js', text: ' && !isAhead(stored.requestTimeMs, nowMs)', replacement: '' },
      { file: 'store/redis/entries/scripts.js', text: "if a ~= b then return a:match('^[^.]*%.') == b:match('^[^.]*%.') and a > b end", replacement: '' },
      { file: 'store/redis/entries/scripts.js', text: ' and not ahead(requestTime(stored), now)', replacement: '' },
    ],
  },
  'suspension-unnoticed': {
    about: 'a machine that was suspended serves what was purged meanwhile',
    trouble: 'suspended',
    edits: [{ file: 'store/redis/purge-log/log.js', text: 'const mostApartMs = 500;', replacement: 'const mostApartMs = Infinity;' }],
  },
  'forward-unnoticed': {
    about: "registrations run out when Redis' clock is set forward, and nobody says so",
    trouble: 'redis clock',
    edits: [{ file: 'store/redis/purge-log/scripts.js', text: "if lostUntil > 0 then redis.pcall('HSET', replicas, '${lostField}', whole(lostUntil)) end", replacement: '' }],
  },
  'back-unbounded': {
    about: "a dead replica is counted for as long as Redis' clock was set back",
    trouble: 'redis clock',
    edits: [
      { file: 'store/redis/purge-log/scripts.js', text: 'elseif one and one.ends > time + one.ttl then', replacement: 'elseif false then' },
      { file: 'store/redis/purge-log/scripts.js', text: 'if ends > time + unnamed then', replacement: 'if false then' },
    ],
  },
  'ids-alone': {
    about: 'two records of one id are taken for one',
    trouble: 'id given twice',
    edits: [
      { file: 'store/redis/purge-log/scripts.js', text: "local here = at and (field(at, 'name') or '') == name", replacement: 'local here = at' },
      { file: 'store/redis/purge-log/scripts.js', text: "if now() > ms then return whole(now()) .. '-' .. salt end",
        replacement: "if now() > ms then return whole(now()) .. '-0' end" },
      { file: 'store/redis/purge-log/scripts.js', text: 'number = number + 1 + tonumber(salt) % 1000', replacement: 'number = number + 1' },
      { file: 'store/redis/purge-log/unsafe-functions.js', text: "return field(mine, 'name') == name and 'there' or 'lost'", replacement: "return 'there'" },
    ],
  },
  'old-log-trusted': {
    about: 'an older log that comes back with Redis is followed like a new one',
    trouble: 'redis restored',
    edits: [{ file: 'store/redis/purge-log/scripts.js', text: "elseif followed ~= '' and not same and identity(last) < followed then", replacement: 'elseif false then' }],
  },
  'silence-unnoticed': {
    about: 'a subscription that has died silently is trusted',
    trouble: 'subscriber silent',
    edits: [{ file: 'store/redis/connect/subscription.js', text: 'this.#later(beatMs, () => void this.#beat(client));', replacement: ';' }],
  },
  'rules-unkeyed': {
    about: 'a stricter replica is given what was stored under laxer rules',
    trouble: 'rules differ',
    edits: [{ file: 'exchange/routing/routes.js', text: '`${id}#${sharingDigest(route, forwarding.allowedFields, config)}`', replacement: 'id' }],
  },
  'patch-lost': {
    about: 'of two patches of one member of a session, at two replicas at once, one is lost',
    trouble: 'long pause',
    edits: [{ file: 'session/store/scripts.js', text: 'if moved then return current end', replacement: '' }],
  },
} satisfies Record<string, Sabotage>

export type SabotageName = keyof typeof table | typeof deaf

export const sabotages: Readonly<Record<keyof typeof table, Sabotage>> = table

export const sabotageNames: readonly SabotageName[] = [deaf, ...Object.keys(table) as (keyof typeof table)[]]

// Compiled, this is .build/test/coherence/sabotage.js.
const build = fileURLToPath(new URL('../../', import.meta.url))

/** Returns the mends of a sabotage whose text is not in the program. */
export function missingMends(name: Exclude<SabotageName, typeof deaf>): string[] {
  const { edits }: Sabotage = sabotages[name]
  return edits.filter(({ file, text }) => !textOf(join(build, 'src', file)).includes(text)).map(({ file, text }) => `${file}: ${text}`)
}

/**
 * Copies the program without that mend. Returns its path, and how to remove it.
 * @throws Error if the text of the mend is missing.
 */
export function sabotaged(name: Exclude<SabotageName, typeof deaf>): { readonly program: string; remove(): void } {
  const place = join(build, 'sabotaged', `${name}-${process.pid}`)
  const remove = (): void => rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  cpSync(join(build, 'src'), join(place, 'src'), { recursive: true })
  cpSync(join(build, 'package.json'), join(place, 'package.json'))
  try {
    for (const edit of sabotages[name].edits) apply(join(place, 'src', edit.file), edit, name)
  } catch (error) {
    remove()
    throw error
  }
  return { program: join(place, 'src', 'cli', 'main.js'), remove }
}

function apply(path: string, { file, text, replacement }: Edit, name: string): void {
  const compiled = textOf(path)
  if (!compiled.includes(text)) throw new Error(`--sabotage ${name}: ${file} does not contain what is to be taken out: ${text}`)
  writeFileSync(path, compiled.replaceAll(text, () => replacement))
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}
