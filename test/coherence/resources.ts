// The resources of the check's origin: a few hot ones that behave in every way that matters, and their bytes.

export interface Resource {
  readonly path: string
  /** Cache-Control of the version that is `version`. */
  readonly control: (version: number) => string
  /**
   * weak: each response has separate bytes; strong: all responses of one version have the same bytes; none: no validator.
   */
  readonly validator: 'none' | 'weak' | 'strong'
  /** The subject of variation: nothing, a request field that Vary names, the user, or the user's cookie. */
  readonly variesBy: 'nothing' | 'flavour' | 'asker' | 'cookie'
  /** The approximate length of its body. */
  readonly bytes: number
  /** Tags of which each version carries some. */
  readonly tags: readonly string[]
  /** True if its requests carry Authorization. */
  readonly authorised: boolean
  /** True if Content-Length is left out. */
  readonly chunked: boolean
  /** True if its responses are for one user: every request for it must reach the origin. */
  readonly neverShared: boolean
  /** How often the origin fails instead of responding. */
  readonly failing: number
}

function resource(path: string, control: string | Resource['control'], more: Partial<Resource> = {}): Resource {
  return {
    path,
    control: typeof control === 'string' ? () => control : control,
    validator: 'none',
    variesBy: 'nothing',
    bytes: 600,
    tags: [],
    authorised: false,
    chunked: false,
    neverShared: false,
    failing: 0,
    ...more,
  }
}

/** Its requests carry a cookie. A separate route states the cookie's meaning. */
export const withCookie = '/c/cookie'

const colours = ['red', 'green', 'blue']

export const resources: readonly Resource[] = [
  resource('/a/short', 'max-age=1', { validator: 'weak' }),
  resource('/a/long', 'max-age=600', { tags: colours }),
  resource('/a/long-weak', 'max-age=600', { validator: 'weak', tags: colours }),
  resource('/a/swr', 'max-age=1, stale-while-revalidate=60', { validator: 'weak', tags: colours }),
  resource('/a/swr-plain', 'max-age=1, stale-while-revalidate=60'),
  resource('/a/sie', 'max-age=1, stale-if-error=60', { validator: 'weak', failing: 0.3 }),
  resource('/a/always', 'no-cache', { validator: 'weak', tags: ['red'] }),
  resource('/a/strong', 'max-age=2', { validator: 'strong', tags: colours }),
  resource('/b/vary', 'max-age=600', { variesBy: 'flavour', tags: colours }),
  resource('/b/vary-swr', 'max-age=1, stale-while-revalidate=60', { variesBy: 'flavour', validator: 'weak' }),
  resource('/b/large', 'max-age=600', { bytes: 40_000, validator: 'strong', tags: ['large', 'red'] }),
  resource('/b/huge', 'max-age=600', { bytes: 700_000, validator: 'weak', tags: ['large', 'blue'] }),
  resource('/b/chunked', 'max-age=600', { bytes: 20_000, chunked: true, tags: ['large'] }),
  resource('/b/broken', 'max-age=30', { bytes: 30_000, failing: 0.3, validator: 'weak' }),
  resource('/c/flip', (version) => (version % 2 === 0 ? 'max-age=600' : 'no-store'), { tags: colours }),
  resource('/c/none', 'no-store', { neverShared: true }),
  resource('/c/private', 'private, max-age=600', { variesBy: 'asker', neverShared: true }),
  resource('/c/authorised', 'max-age=600', { variesBy: 'asker', authorised: true, neverShared: true }),
  // Shared only by a replica whose rules ignore cookies, which is wrong here.
  resource(withCookie, 'max-age=600', { variesBy: 'cookie', neverShared: true }),
]

/** Resources that every request finds in the store for a long time, unless they are purged. */
export const lasting: readonly Resource[] = resources.filter(({ control, failing, neverShared }) =>
  [0, 1].every((version) => control(version) === 'max-age=600') && failing === 0 && !neverShared
)

export const resourceByPath: ReadonlyMap<string, Resource> = new Map(resources.map((one) => [one.path, one]))
export const tags: readonly string[] = [...colours, 'large']
export const prefixes: readonly string[] = ['/a/', '/b/', '/c/', '/a/l', '/b/vary']
export const flavours: readonly string[] = ['sweet', 'sour', 'salt']

/** The inputs of the bytes of a body. `stamp`: the generation, or for a strong validator the version. */
export interface BodyName {
  readonly path: string
  readonly variant: string
  readonly stamp: number
}

/** Every body states its owner and length in its first line; its length and every later byte follow from that. */
export function bodyOf({ path, variant, stamp }: BodyName): Buffer {
  const known = resourceByPath.get(path)
  const length = (known?.bytes ?? 600) + stamp % 97
  const name = `${path} ${variant} ${stamp}`
  const head = Buffer.from(`springhouse-coherence ${name} ${length}\n`)
  return Buffer.concat([head, Buffer.alloc(Math.max(0, length - head.length), `${name}.`)])
}

/** Returns the owner that a body states; undefined for a body that is not from this origin. */
export function bodyName(body: Buffer): BodyName | undefined {
  const found = /^springhouse-coherence (\S+) (\S+) (\d+) \d+\n/.exec(body.toString('latin1', 0, 200))
  return found === null ? undefined : { path: found[1] as string, variant: found[2] as string, stamp: Number(found[3]) }
}

export function etagOf({ validator }: Resource, version: number, variant: string): string | undefined {
  return validator === 'none' ? undefined : `${validator === 'weak' ? 'W/' : ''}"v${version}.${variant}"`
}

export function versionOf(etag: string | undefined): number | undefined {
  const found = /^(?:W\/)?"v(\d+)\./.exec(etag ?? '')
  return found === null ? undefined : Number(found[1])
}
