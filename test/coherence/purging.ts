// Purges and unsafe requests: sent, recorded by the oracle, and confirmed to the oracle only by their responses.
import { ask } from '../support/client.ts'
import type { Named } from './oracle.ts'
import type { Replica } from '../support/replica.ts'
import { patiently, type PurgeScene } from './reading.ts'
import { host, postNumber, purgeWaitMs, token } from './replica.ts'

/** The response of the admin API. */
interface Receipt {
  readonly id: string
  readonly replicas: { readonly live: number; readonly acknowledged: number }
}

/** Sends a purge to one replica's admin API. Returns the status: 200 means that it is confirmed, and holds from now on. */
export async function purge(scene: PurgeScene, replica: Replica, who: string, named: Named, waitMs: number, anyHost: boolean): Promise<number | undefined> {
  const { trail, origin, oracle } = scene
  const kind = `${kindOf(named)}${named.soft ? ', soft' : ''}`
  const sent = oracle.sent(named, origin.counter)
  const written = (path: string): string => (anyHost ? path : `http://${host}${path}`)
  const body = {
    ...(named.urls.length > 0 && { urls: named.urls.map(written) }),
    ...(named.prefixes.length > 0 && { prefixes: named.prefixes.map(written) }),
    ...(named.tags.length > 0 && { tags: named.tags, tagsMatch: named.tagsMatch }),
    ...(named.all && { all: true }),
    soft: named.soft,
    waitMs,
  }
  trail.note('purge', `${who} purges ${JSON.stringify(body)} at ${replica.name}: purge ${sent.number}, of everything up to ${sent.floor}`)
  const beganMs = trail.elapsedMs
  try {
    const answer = await patiently(scene, `${who}: purge ${sent.number} at ${replica.name}`, ask(replica.adminPort, {
      method: 'POST',
      path: '/v1/purge',
      body: JSON.stringify(body),
      headers: ['Authorization', `Bearer ${token}`, 'Content-Type', 'application/json'],
    }))
    const tookMs = Math.round(trail.elapsedMs - beganMs)
    // Without its end it is no confirmation.
    const status = answer.complete ? answer.status : 0
    const moment = trail.note('purge', `purge ${sent.number} is answered ${status} by ${replica.name} after ${tookMs} ms: ${answer.body.toString()}`)
    trail.count(`purges: ${kind}: ${status}`)
    if (status !== 200) return status
    const { replicas } = JSON.parse(answer.body.toString()) as Receipt
    oracle.confirmed(sent, moment)
    trail.count('purges confirmed')
    trail.most('slowest confirmed purge, ms', tookMs)
    trail.most('replicas that acknowledged a purge, at most', replicas.acknowledged)
    return status
  } catch (error) {
    trail.note('purge', `purge ${sent.number} was not answered by ${replica.name}: ${String(error)}`)
    trail.count(`purges: ${kind}: no answer`)
    return undefined
  }
}

function kindOf({ all, urls, prefixes, tags, tagsMatch }: Named): string {
  if (all) return 'all'
  if (urls.length > 0) return 'url'
  if (prefixes.length > 0) return 'prefix'
  return tags.length === 1 ? 'tag' : `tags ${tagsMatch}`
}

/**
 * The result of an unsafe request: its status, undefined without a whole response, and whether the response made a promise.
 */
export interface Posted {
  readonly status: number | undefined
  readonly confirmed: boolean
}

/**
 * RFC 9111 §4.4: the response to an unsafe request invalidates. After it, nothing may be served that the origin had
 * generated before. There are two exceptions: its wait ran out, or the replica reports in its log that it could not be
 * recorded.
 */
export async function post(scene: PurgeScene, replica: Replica, who: string, resource: { readonly path: string }, number: number): Promise<Posted> {
  const { trail, oracle } = scene
  const target = `${resource.path}?${postNumber}=${number}`
  const beganMs = trail.elapsedMs
  trail.note('purge', `${who} posts to ${target} at ${replica.name}`)
  try {
    const answer = await patiently(scene, `${who}: POST ${target} at ${replica.name}`,
      ask(replica.proxyPort, { method: 'POST', path: target, headers: ['Host', host], body: 'new' }))
    const tookMs = Math.round(trail.elapsedMs - beganMs)
    const generation = Number(answer.header('x-generation'))
    const moment = trail.note('purge', `the post to ${target} is answered ${answer.status} after ${tookMs} ms, generation ${generation}`)
    trail.most('slowest post, ms', tookMs)
    trail.count(`posts: ${answer.complete ? answer.status : 'cut'}`)
    const status = answer.complete ? answer.status : undefined
    if (status !== 200 || !Number.isInteger(generation)) return { status, confirmed: false }
    const named: Named = { urls: [resource.path], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false }
    scene.posted?.(target, named, generation)
    // Held back for as long as allowed, and then sent although some replicas had not applied it: no promise was made.
    if (tookMs > purgeWaitMs - 500) return { status, confirmed: false }
    oracle.confirmed(oracle.sent(named, generation, target), moment)
    return { status, confirmed: true }
  } catch (error) {
    trail.note('purge', `the post to ${target} was not answered: ${String(error)}`)
    trail.count('posts: no answer')
    return { status: undefined, confirmed: false }
  }
}
