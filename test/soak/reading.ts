// A request of a client of the soak, and the demands on its response: the right bytes, all of them, for this client, and no
// error.
import type { Agent } from 'node:http'
import type { Oracle, Violation } from '../coherence/oracle.ts'
import { exchange, field, NotAnswered, patiently, type Message, type PurgeScene } from '../coherence/reading.ts'
import { host } from '../coherence/replica.ts'
import type { Replica } from '../support/replica.ts'
import type { SoakOrigin } from './origin.ts'
import { readBody, type Page } from './site.ts'
import type { Troubles } from './troubles.ts'

/** The receiver of a request: a replica, as far as a request is concerned. */
export type Asked = Pick<Replica, 'name' | 'proxyPort' | 'up'>

export interface Scene extends PurgeScene {
  readonly origin: SoakOrigin
  readonly oracle: Oracle
  readonly troubles: Troubles
  readonly replicas: readonly Asked[]
  violated(violation: Violation, about: string, what: string): void
}

export interface Read {
  readonly page: Page
  readonly who: string
  readonly flavour: string
  readonly agent: Agent | undefined
  readonly method: 'GET' | 'HEAD'
  readonly slowMs: number
  readonly leaves: 'at once' | 'midway' | undefined
}

/** Such a large body may be truncated when Redis goes away as it is sent: docs/coherence.md. */
const inChunksBytes = 256 * 1024

/** Sends it and judges the response. Sends it again, as clients do, if the replica closed the connection as it was sent. */
export async function read(scene: Scene, asked: Read, replica: Asked, again = true): Promise<void> {
  const { trail, origin, troubles } = scene
  const { page, who, method } = asked
  const beganMs = trail.elapsedMs
  const counterAtSend = origin.counter
  const sent = trail.note(page.path, `${who} asks ${replica.name}: ${method} ${page.path} ${page.kind === 'vary' ? asked.flavour : ''}`)
  trail.count('requests')
  let message: Message | undefined
  try {
    message = await patiently(scene, `${who}: ${method} ${page.path} at ${replica.name} (#${sent})`, exchange(replica.proxyPort, {
      ...asked,
      path: page.path,
      headers: ['Host', host, 'X-Asker', who, 'X-Flavour', asked.flavour],
    }))
  } catch (error) {
    const nowMs = trail.elapsedMs
    const told = `${who} was not answered by ${replica.name} (#${sent}): ${String(error)}`
    trail.note(page.path, told)
    if (troubles.ended('killed', replica.name, beganMs, nowMs)) return trail.count('lost with a replica that was killed')
    const stopping = troubles.ended('stopped', replica.name, beganMs, nowMs)
    const other = scene.replicas.find((one) => one.up)
    if (again && other !== undefined && (stopping || (error instanceof NotAnswered && error.kept))) {
      trail.count(stopping ? 'sent again: the replica was told to stop as it was sent' : 'sent again: a kept connection was closed as it was sent')
      return read(scene, { ...asked, agent: undefined }, other, false)
    }
    return scene.violated({ rule: 'a request got no response', purge: undefined }, page.path, told)
  }
  if (message === undefined) return trail.count('broken off by the client')
  const status = message.response.statusCode ?? 0
  const cacheStatus = field(message.response, 'cache-status') ?? ''
  const tookMs = trail.elapsedMs - beganMs
  trail.count(`status ${status}`)
  if (/; hit/.test(cacheStatus)) trail.count('hits')
  if (asked.slowMs === 0 && page.kind === 'hot') trail.most('slowest response for a hot key, ms', Math.round(tookMs))
  const told = `${who} is answered by ${replica.name} (#${sent}) after ${Math.round(tookMs)} ms: ${status}, ${message.body.length} bytes, generation ${
    field(message.response, 'x-generation')
  } body ${JSON.stringify(readBody(message.body))} | ${cacheStatus}${message.complete ? '' : ' | cut'}`
  trail.note(page.path, told)
  const wrong = judge(scene, asked, replica, message, { status, sent, counterAtSend, beganMs, detail: /detail=([a-z0-9-]+)/.exec(cacheStatus)?.[1] ?? '' })
  if (wrong !== undefined) scene.violated(typeof wrong === 'string' ? { rule: wrong, purge: undefined } : wrong, page.path, told)
}

interface Told {
  readonly status: number
  readonly sent: number
  readonly counterAtSend: number
  readonly beganMs: number
  readonly detail: string
}

function judge(scene: Scene, { page, who, flavour, method }: Read, replica: Asked, { response, body, complete }: Message, told: Told): Violation | string | undefined {
  const { trail, troubles, oracle } = scene
  const nowMs = trail.elapsedMs
  const originFailed = troubles.during('origin', told.beganMs, nowMs)
  if (told.status !== 200) {
    if (!originFailed || ![502, 503, 504].includes(told.status)) return 'an error, while the origin did not fail'
    trail.count('errors while the origin failed')
    return undefined
  }
  if (method === 'HEAD') return undefined
  const found = readBody(body)
  if (complete || found !== undefined) {
    if (found === undefined) return 'the body is not one of this origin'
    if (found.path !== page.path) return 'the body is that of another URL'
    if (found.variant !== (page.kind === 'vary' ? flavour : '-')) return 'the body is that of another variant'
    if (found.user !== (page.kind === 'me' ? who : '-')) return 'the body is that of another user'
    if (complete && !found.whole) return 'the body claims to be whole, and is not'
  }
  if (!complete) {
    if (originFailed) trail.count('cut, visibly, while the origin failed')
    else if (troubles.ended('killed', replica.name, told.beganMs, nowMs)) trail.count('cut, visibly, with a replica that was killed')
    else if (page.bytes > inChunksBytes && troubles.during('redis', told.beganMs, nowMs)) trail.count('large, cut visibly while Redis was in trouble')
    else return 'a body was truncated, though nothing had failed'
    return undefined
  }
  const { generation } = found as { generation: number }
  trail.count('bodies verified')
  const heard = Number(field(response, 'x-generation'))
  const version = Number(/^W\/"v(\d+)"$/.exec(field(response, 'etag') ?? '')?.[1] ?? 0)
  return oracle.judge({ ...told, resource: page, noCache: false, made: { generation, path: page.path, version, tags: page.tags }, lastHeardOf: heard })
}
