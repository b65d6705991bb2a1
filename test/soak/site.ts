// The content of the soak's origins: the kinds of targets, and bodies that name their client and prove that they are whole.
import { crc32 } from 'node:zlib'

export type Kind = 'hot' | 'unique' | 'vary' | 'none' | 'me' | 'large' | 'probe'

export const hotKeys = 200
export const varyKeys = 20
export const largeKeys = 8

/** The properties of a path. They follow from the path alone, so that targets requested once need not be remembered. */
export interface Page {
  readonly path: string
  readonly kind: Kind
  readonly control: string
  readonly tags: readonly string[]
  /** Bytes of its body, about. */
  readonly bytes: number
  /** Its responses are for one client alone, or for one request: each must come from the origin. */
  readonly neverShared: boolean
}

const hotControls = ['max-age=60', 'max-age=5, stale-while-revalidate=30', 'max-age=5, stale-if-error=60', 'max-age=600']
const largeBytes = [300_000, 1_000_000, 2_500_000, 4_000_000]

/** undefined: there is nothing there. */
export function pageOf(path: string): Page | undefined {
  const [, kind = '', digits = ''] = /^\/(hot|unique|vary|none|me|large|probe)\/(\d+)$/.exec(path) ?? []
  const number = Number(digits)
  const page = (control: string, more: Partial<Page> = {}): Page => ({ path, kind: kind as Kind, control, tags: [], bytes: 800, neverShared: false, ...more })
  switch (kind) {
    case 'hot':
      return page(hotControls[number % 4] as string, { bytes: 200 + (number * 7919) % 12_000, tags: ['hot', `g${number % 8}`] })
    case 'unique':
      return page('max-age=20', { bytes: 2_000 })
    case 'vary':
      return page('max-age=30', { tags: [`g${number % 8}`] })
    case 'none':
      return page('no-store', { neverShared: true })
    case 'me':
      return page('private, max-age=60', { neverShared: true })
    case 'large':
      return page('max-age=60', { bytes: largeBytes[number % 4] as number, tags: ['large'] })
    case 'probe':
      return page('max-age=600')
    default:
      return undefined
  }
}

/** The first line of a body. */
export interface BodyName {
  readonly path: string
  /** The requested flavour, if the response varies by it. */
  readonly variant: string
  /** The client, if the response is for one client alone. */
  readonly user: string
  /** The position of the response in the order of all actions of the origins. */
  readonly generation: number
}

export function bodyOf({ path, variant, user, generation }: BodyName, bytes: number): Buffer {
  const name = `${path} ${variant} ${user} ${generation}`
  const rest = Buffer.alloc(bytes + generation % 97, `${name}.`)
  return Buffer.concat([Buffer.from(`springhouse-soak ${name} ${rest.length} ${crc32(rest)}\n`), rest])
}

/** Returns the name in a body, or in its beginning, and whether the body is whole; undefined if it has none. */
export function readBody(body: Buffer): (BodyName & { readonly whole: boolean }) | undefined {
  const end = body.indexOf(10)
  const found = /^springhouse-soak (\S+) (\S+) (\S+) (\d+) (\d+) (\d+)$/.exec(body.toString('latin1', 0, Math.max(0, Math.min(end, 300))))
  if (found === null) return undefined
  const [path, variant, user, generation, length, sum] = found.slice(1) as [string, string, string, string, string, string]
  const rest = body.subarray(end + 1)
  return { path, variant, user, generation: Number(generation), whole: rest.length === Number(length) && crc32(rest) === Number(sum) }
}
