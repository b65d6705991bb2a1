// Settings that once had another name. A file with the old name gets an error with the new one.

/** From the path of an old name (`[]` for any index) to what takes its place. */
export const renamedSettings: Readonly<Record<string, string>> = {
  'routes[].cache.enabled': 'mode: cache for true, mode: bypass for false',
  'routes[].cache.defaultTtl': 'ttl: { default: … }',
  'routes[].cache.maxTtl': 'ttl: { max: … }',
  'routes[].cache.negativeTtl': 'ttl: { status: { 404: … } }',
  'routes[].cache.heuristics': 'ttl: { heuristic: 5m } for true, ttl: { heuristic: off } for false',
}

/** Returns the setting that replaced an old name; undefined if no setting ever had that name. */
export function renamed(path: string): string | undefined {
  const place = path.replaceAll(/\[\d+\]/g, '[]').toLowerCase()
  return Object.entries(renamedSettings).find(([old]) => old.toLowerCase() === place)?.[1]
}
