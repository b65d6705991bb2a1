// The address of an origin server as the configuration writes it, read in one way by its check and by everyone else.

export interface ServerAddress {
  /** `http://api-1:3000`. */
  readonly url: string
  readonly weight: number
}

/** Reads `http://api-1:3000 weight=3`. The weight is 1 where none is written. Returns undefined for any other form; the URL is not checked. */
export function readServerAddress(text: string): ServerAddress | undefined {
  const [, url, weight] = /^(\S+)(?:\s+weight=(\d{1,4}))?$/.exec(text.trim()) ?? []
  return url === undefined ? undefined : { url, weight: Number(weight ?? 1) }
}
