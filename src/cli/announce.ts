// Prints the summary of a start on standard error, because standard output is for the log.
import type { App } from '../app.ts'
import { maskSecrets } from '../config/mask.ts'
import type { Config, RedisConfig } from '../config/schema.ts'
import { formatSize } from '../config/units.ts'
import { descriptorNotice, openFilesLimit } from '../descriptors.ts'
import { standardError } from '../log/outputs.ts'
import { isEverywhere } from '../config/rules.ts'
import { columns } from './columns.ts'

/** Prints the listeners, the store and the origins. */
export function announce(config: Config, app: Pick<App, 'proxyUrl' | 'adminUrl' | 'redirectUrl' | 'redisReached'>, pids: readonly number[] = []): void {
  const memory = formatSize(config.cache.memory.maxBytes)
  const { redis } = maskSecrets(config)
  const notice = descriptorNotice(openFilesLimit(), config.proxy.maxClients)
  const open = (['proxy', 'admin'] as const).filter((listener) => isEverywhere(config[listener].host)).map((listener) => `${listener} (${config[listener].host})`)
  const rows = [
    ['proxy', app.proxyUrl],
    ['admin', app.adminUrl],
    ...(config.admin.dashboard && config.admin.tokens.length > 0 ? [['page', `${app.adminUrl}/ (log in with an admin token)`]] : []),
    ...(app.redirectUrl === undefined ? [] : [['redirect', `${app.redirectUrl} to HTTPS`]]),
    ...(open.length === 0 ? [] : [['network', `${open.join(' and ')}: reachable on every address of this machine`]]),
    ['store', redis === undefined
      ? `embedded: ${memory} of memory, in this process alone`
      : `${whereabouts(redis)} (${app.redisReached === true ? 'reached' : 'not reached: serving without it, and trying again'})`],
    ...Object.entries(config.origins).map(([name, { servers }]) => ['origin', `${name}: ${servers.join(', ')}`]),
    ...(notice === undefined ? [] : [['clients', notice]]),
    ...(pids.length > 0 ? [['workers', `${pids.length} (processes ${pids.join(', ')})`]] : []),
  ]
  standardError.write(`springhouse is ready\n${columns(rows.map((row) => ['', ...row]))}`)
}

function whereabouts({ url, cluster, sentinel }: RedisConfig): string {
  if (cluster !== undefined) return `Redis Cluster: ${cluster.join(', ')}`
  if (sentinel !== undefined) return `Redis master ${sentinel.master}, by Sentinel: ${sentinel.nodes.join(', ')}`
  return url ?? ''
}
