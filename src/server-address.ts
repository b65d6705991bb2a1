// The address of an origin server as the configuration writes it, read in one way by its check and by everyone else.

export interface ServerAddress {
  /** `http://api-1:3000`, `http://api-1:3000/base` or `unix:/run/api.sock`. */
  readonly url: string
  readonly weight: number
}

/** Reads `http://api-1:3000/base weight=3` or `unix:/run/api.sock`. The weight is 1 where none is written. Returns undefined for any other form; the URL is not checked. */
export function readServerAddress(text: string): ServerAddress | undefined {
  const [, url, weight] = /^(\S+)(?:\s+weight=(\d{1,4}))?$/.exec(text.trim()) ?? []
  return url === undefined ? undefined : { url, weight: Number(weight ?? 1) }
}

/** Where a server is, and what goes before the targets of its requests. */
export interface ServerPlace {
  /** Scheme, host and port; `http://localhost` for a socket in the file system. */
  readonly origin: string
  /** The path before each target, without its last slash; '' if there is none. */
  readonly base: string
  /** The path of a socket in the file system, in place of host and port. */
  readonly socketPath: string | undefined
}

/** Reads the URL of a server. Returns undefined unless it is an http or https URL, or `unix:` and an absolute path. */
export function readServerPlace(url: string): ServerPlace | undefined {
  const socketPath = /^unix:(?:\/\/)?(\/[^\s?#]+)$/.exec(url)?.[1]
  if (socketPath !== undefined) return { origin: 'http://localhost', base: '', socketPath }
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined
  const { origin, pathname } = new URL(url)
  return { origin, base: withoutLastSlashes(pathname), socketPath: undefined }
}

// A loop takes linear time. A regular expression would start again at each of many slashes.
function withoutLastSlashes(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  return path.slice(0, end)
}
