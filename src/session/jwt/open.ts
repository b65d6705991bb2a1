// The providers of a configuration, put together.
import type { Clock } from '../../clock.ts'
import type { AuthConfig } from '../../config/schema.ts'
import type { Log } from '../../store/redis/connect/log.ts'
import type { TokenCounters } from '../counters.ts'
import { loadJose } from './jose.ts'
import { keyPlace } from './key-place.ts'
import { ProviderKeys } from './provider-keys.ts'
import { Provider } from './provider.ts'
import { Tokens } from './tokens.ts'

export interface OpenTokensOptions {
  readonly config: AuthConfig['jwt']
  readonly clock: Clock
  readonly logger: Log
  readonly counters: TokenCounters
}

/** Opens the providers of a configuration; undefined if it names none. Their keys are not read yet. */
export async function openTokens({ config, clock, logger, counters }: OpenTokensOptions): Promise<Tokens | undefined> {
  if (config.length === 0) return undefined
  const jose = await loadJose()
  const providers = config.map(({ name, issuer, audience, algorithms, claims, leeway, jwks, refresh, cooldown, keepStale }) =>
    new Provider({
      settings: { name, issuer, audience, algorithms, claims, leewayMs: leeway },
      keys: new ProviderKeys({
        name,
        place: keyPlace(jwks),
        algorithms,
        refreshMs: refresh,
        cooldownMs: cooldown,
        keepStaleMs: keepStale,
        clock,
        logger,
        jose,
        fetched: outcome => counters.fetched(outcome),
      }),
      clock,
      jose,
    })
  )
  return new Tokens({ providers, counters, clock })
}
