// Routes that no request can take, because an earlier route takes each of their requests.
import type { Route, RouteMatch } from './route.ts'

/** Returns the index of each route that an earlier one shadows, with the index of that one. */
export function shadowedRoutes(routes: readonly Pick<Route, 'match'>[]): { readonly route: number; readonly by: number }[] {
  return routes.flatMap(({ match }, route) => {
    const by = routes.slice(0, route).findIndex((earlier) => takesHosts(earlier.match, match) && takesPaths(earlier.match, match))
    return by < 0 ? [] : [{ route, by }]
  })
}

function takesHosts(earlier: RouteMatch, later: RouteMatch): boolean {
  if (earlier.host === undefined || earlier.host === later.host) return true
  return earlier.domain !== undefined && (later.domain ?? later.host)?.endsWith(earlier.domain) === true
}

function takesPaths(earlier: RouteMatch, later: RouteMatch): boolean {
  if (earlier.isEvery) return true
  if (earlier.isExact) return later.isExact && later.path === earlier.path
  return later.path === earlier.path || later.path.startsWith(`${earlier.path}/`)
}
