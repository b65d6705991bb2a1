// Notices about a valid configuration: routes that match nothing, certificates that have expired.
import { pemNotices, pemSettings } from '../config/certificates.ts'
import type { Loaded } from '../config/load.ts'
import { shortTokenNotices } from '../config/rules.ts'
import { compileRoutes } from '../exchange/routing/routes.ts'
import { shadowedRoutes } from '../exchange/routing/shadowed.ts'

/** Returns a sentence for each, those of the loading included. */
export function configurationNotices({ config, notices }: Loaded, nowMs: number): string[] {
  const shadowed = shadowedRoutes(compileRoutes(config)).map(({ route, by }) => `routes[${route}] can never match: routes[${by}] comes before it and takes all of its requests`)
  return [...notices, ...shadowed, ...shortTokenNotices(config), ...pemSettings(config).flatMap((settings) => pemNotices(settings, nowMs))]
}
