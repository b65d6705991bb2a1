// The things that need the operator now, from the state of the fleet, the origins and the store.
import { linkTo } from '../address.ts'
import type { OriginRow, ReplicaRow, Stats } from '../shapes.ts'
import { count, duration } from '../words.ts'

/** The state of the whole, which the header and several views show. */
export interface Health {
  readonly stats: Stats | undefined
  readonly origins: readonly OriginRow[]
  readonly replicas: readonly ReplicaRow[]
}

export interface Need {
  readonly kind: 'danger' | 'hint'
  readonly text: string
  readonly link: string
  readonly more: string
}

/** Returns what needs the operator, the worst first. */
export function needsOf({ stats, origins, replicas }: Health): Need[] {
  const fleet = linkTo('fleet')
  const down = origins.filter(({ healthy }) => !healthy).map(({ origin, url, lastError }): Need => ({
    kind: 'danger',
    text: `A server of the origin "${origin}" is down: ${url}${
      lastError === undefined || lastError === null ? '' : ` (${lastError.code}, ${duration(Date.now() - lastError.atMs)} ago)`
    }.`,
    link: fleet,
    more: 'see the fleet',
  }))
  const ill = replicas.filter(({ state = 'ok' }) => state !== 'ok').map(({ id, host, state = 'ok', lagMs }): Need => ({
    kind: state === 'draining' ? 'hint' : 'danger',
    text: `The replica ${host ?? id} is ${state}${state === 'lagging' && typeof lagMs === 'number' ? `: it applies purges ${duration(lagMs)} late` : ''}.`,
    link: linkTo('fleet', { search: host ?? id }),
    more: 'see the replica',
  }))
  const needs = [...down, ...ill.toSorted((a, b) => a.kind.localeCompare(b.kind)).slice(0, 5)]
  if (ill.length > 5) needs.push({ kind: 'danger', text: `${count(ill.length - 5)} more replicas are not well.`, link: fleet, more: 'see the fleet' })
  if (stats === undefined) return needs
  for (const part of stats.store.degraded) needs.push({ kind: 'danger', text: `Degraded: ${part}.`, link: fleet, more: 'see the fleet' })
  if (!stats.purgeLog.current) needs.push({ kind: 'danger', text: 'This replica does not know every purge: Redis does not respond.', link: fleet, more: 'see the fleet' })
  if (stats.store.evictions > 0 && (stats.store.entries ?? 0) > 0 && stats.store.evictions > (stats.store.entries ?? 0)) {
    needs.push({ kind: 'hint', text: `The memory tier has evicted ${count(stats.store.evictions)} responses: it is smaller than what clients request.`, link: linkTo('config'),
      more: 'see cache.memory.maxBytes' })
  }
  const differing = stats.configuration?.differing.length ?? 0
  if (differing > 0) needs.push({ kind: 'hint', text: `${count(differing)} replicas run another configuration.`, link: linkTo('config'), more: 'see the configuration' })
  return needs
}
