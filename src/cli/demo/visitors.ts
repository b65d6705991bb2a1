// The demo's visitors: a steady trickle of requests through the proxy, so that the admin page has something to show.
import { request } from 'undici'
import { itemCount } from './api.ts'

/** How often a visitor comes, in milliseconds. */
const everyMs = 50

/** Each visit: its share among all, and its path. They keep off the URLs that the demo's own steps request. */
const visits: readonly (readonly [share: number, path: (random: () => number) => string])[] = [
  // A few items are popular, and most are not: the cube of an even distribution.
  [0.75, (random) => `/items/${2 + Math.floor(random() ** 3 * (itemCount - 1))}`],
  [0.15, (random) => `/tagged/shop/${Math.floor(random() * 1000)}`],
  [0.1, () => '/private'],
]

/** Returns the path of the next visit. @param random returns numbers from 0 to 1 */
export function nextVisit(random: () => number): string {
  let left = random()
  for (const [share, path] of visits) {
    if (left < share) return path(random)
    left -= share
  }
  return '/private'
}

/** Begins to visit. Visits that fail are not repeated: the proxy may be stopping. @returns a function that ends the visits */
export function startVisits(proxyUrl: string): () => void {
  const timer = setInterval(() => {
    void request(proxyUrl + nextVisit(Math.random)).then(({ body }) => body.dump(), () => undefined)
  }, everyMs)
  // Visits alone keep no process alive.
  timer.unref()
  return () => clearInterval(timer)
}
