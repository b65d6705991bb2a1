// A request of a client, and the checks of its response: the bytes first, then the oracle.
import type { Agent, IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { open } from '../support/client.ts'
import { variantOf, type CountingOrigin } from './origin.ts'
import type { Oracle, Generated, Named, Violation } from './oracle.ts'
import { host, type WiredReplica } from './replica.ts'
import { bodyName, bodyOf, versionOf, type Resource } from './resources.ts'
import type { Trail } from './trail.ts'

/** The parts that every actor shares. */
export interface Scene extends PurgeScene {
  readonly origin: CountingOrigin
  readonly replicas: readonly WiredReplica[]
  violated(violation: Violation, about: string, what: string): void
}

/** The parts that send and record purges. */
export interface PurgeScene {
  readonly trail: Trail
  readonly origin: { readonly counter: number }
  readonly oracle: Oracle
  /** An unsafe request received 200: its invalidation, and the origin's count in the response. */
  posted?(target: string, named: Named, generation: number): void
  /** A request received no response, for longer than anything may take. */
  hung(what: string): void
}

export interface Read {
  readonly replica: WiredReplica
  readonly resource: Resource
  readonly who: string
  readonly agent: Agent | undefined
  readonly method: 'GET' | 'HEAD'
  readonly flavour: string
  readonly ifNoneMatch?: string | undefined
  readonly range?: readonly [first: number, last: number] | undefined
  readonly cacheControl?: string | undefined
  /** How long it waits between the chunks of the body. */
  readonly slowMs: number
  /** When it leaves: before the head, in the middle of the body, or never. */
  readonly leaves: 'at once' | 'midway' | undefined
}

export interface Message {
  readonly response: IncomingMessage
  readonly body: Buffer
  readonly complete: boolean
}

/** Longer than any setting allows, and than any freeze lasts: a request that takes longer hangs. */
const patienceMs = 30_000

/**
 * Returns the promise's value.
 * @throws Error when a client would long have left, which is counted and reported.
 */
export async function patiently<T>(scene: Pick<PurgeScene, 'hung'>, what: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      scene.hung(what)
      reject(new Error(`no end in ${patienceMs} ms`))
    }, patienceMs)
  })
  try {
    return await Promise.race([answer, hang])
  } finally {
    clearTimeout(timer)
  }
}

/** Sends it and judges the response. Returns the response's validator, for the next request. */
export async function read(scene: Scene, asked: Read): Promise<string | undefined> {
  const { trail, origin } = scene
  const { replica, resource, who, method } = asked
  const counterAtSend = origin.counter
  const laxBefore = replica.lax
  const extras = [asked.cacheControl, asked.range && `bytes ${asked.range.join('-')}`, asked.ifNoneMatch && `if-none-match ${asked.ifNoneMatch}`].filter(Boolean).join(', ')
  const sent = trail.note(resource.path, `${who} asks ${replica.name}: ${method} ${resource.path} ${resource.variesBy === 'flavour' ? asked.flavour : ''} ${extras}`)
  let message: Message | undefined
  try {
    message = await patiently(scene, `${who}: ${method} ${resource.path} at ${replica.name} (#${sent})`,
      exchange(replica.proxyPort, { ...asked, path: resource.path, headers: headersOf(asked) }))
  } catch (error) {
    trail.count('reads without a response')
    trail.note(resource.path, `${who} was not answered by ${replica.name} (#${sent}): ${String(error)}`)
    return undefined
  }
  if (message === undefined) {
    trail.count('reads that the client broke off')
    return undefined
  }
  const status = message.response.statusCode ?? 0
  const cacheStatus = field(message.response, 'cache-status') ?? ''
  trail.count(`status ${status}`)
  const told = `${who} is answered by ${replica.name} (#${sent}): ${status} generation ${field(message.response, 'x-generation')} body ${
    field(message.response, 'x-body-generation')
  } etag ${field(message.response, 'etag')} | ${cacheStatus}${message.complete ? '' : ' | cut'}`
  trail.note(resource.path, told)
  countUse(trail, cacheStatus)
  // A replica with lax rules may send one client a response that belongs to another: its rules allow that.
  if (resource.variesBy === 'cookie' && (laxBefore || replica.lax)) return undefined
  const wrong = judge(scene, asked, message, { status, sent, counterAtSend, detail: /detail=([a-z0-9-]+)/.exec(cacheStatus)?.[1] ?? '' })
  if (wrong !== undefined) scene.violated(wrong, resource.path, told)
  return field(message.response, 'etag')
}

function countUse(trail: Trail, cacheStatus: string): void {
  if (/; hit/.test(cacheStatus)) trail.count('hits')
  if (/detail=stale-|detail=origin-/.test(cacheStatus)) trail.count('served stale')
  if (/fwd-status=304/.test(cacheStatus)) trail.count('validated with a 304')
  if (/collapsed/.test(cacheStatus)) trail.count('collapsed')
}

function judge(scene: Scene, asked: Read, message: Message, told: { status: number; sent: number; counterAtSend: number; detail: string }): Violation | undefined {
  const { response, complete } = message
  const { status, detail } = told
  const { resource } = asked
  const generation = numeric(response, 'x-generation')
  if (status === 500) return { rule: 'the program itself failed', purge: undefined }
  if (status !== 200 && status !== 206 && status !== 304) return undefined
  const version = versionOf(field(response, 'etag'))
  const bodyGeneration = numeric(response, 'x-body-generation') ?? (asked.method === 'HEAD' ? generation : undefined)
  let made: Generated | undefined
  if (status === 304) {
    // Without a validator there is nothing to compare.
    made = version === undefined ? undefined : scene.origin.lastOf(version)
    if (made === undefined) return { rule: 'a 304 names a version that the origin never gave', purge: undefined }
  } else {
    made = bodyGeneration === undefined ? undefined : scene.origin.generated(bodyGeneration)
    if (made === undefined || made.path !== resource.path) return { rule: 'the response is not one that the origin made for this URL', purge: undefined }
    const bytes = complete && asked.method === 'GET' ? badBytes(asked, message, made) : undefined
    if (bytes !== undefined) return { rule: bytes, purge: undefined }
  }
  scene.trail.count('responses judged')
  return scene.oracle.judge({ ...told, resource, replica: asked.replica.name, detail, noCache: asked.cacheControl === 'no-cache', made, lastHeardOf: generation })
}

/** Returns the fault of a body that claims to be whole: every byte is known beforehand. */
function badBytes({ resource, flavour, who, range }: Read, { response, body }: Message, made: Generated): string | undefined {
  const variant = variantOf(resource, flavour, who)
  const expected = bodyOf({ path: resource.path, variant, stamp: resource.validator === 'strong' ? made.version : made.generation })
  if (response.statusCode === 200) {
    if (body.equals(expected)) return undefined
    const name = bodyName(body)
    const looks = name === undefined ? `${body.length} bytes of something else` : `${body.length} bytes of ${JSON.stringify(name)}`
    return `the body is not the one that its head names: ${looks}, where ${expected.length} bytes of ${variant} ${made.generation} belong`
  }
  const part = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(field(response, 'content-range') ?? '')
  if (part === null || range === undefined) return 'a part without a range, or that was not requested'
  const [first, last, length] = part.slice(1).map(Number) as [number, number, number]
  if (length !== expected.length || first !== range[0] || last !== Math.min(range[1], length - 1)) return 'a part other than the requested one'
  return body.equals(expected.subarray(first, last + 1)) ? undefined : 'the bytes of a part are not those of its representation'
}

function headersOf(asked: Read): string[] {
  const { resource, who, flavour } = asked
  const headers = ['Host', host, 'X-Asker', who]
  if (resource.variesBy === 'flavour') headers.push('X-Flavour', flavour)
  if (resource.variesBy === 'cookie') headers.push('Cookie', `session=${who}`)
  if (resource.authorised) headers.push('Authorization', `Bearer ${who}`)
  if (asked.ifNoneMatch !== undefined) headers.push('If-None-Match', asked.ifNoneMatch)
  if (asked.range !== undefined) headers.push('Range', `bytes=${asked.range[0]}-${asked.range[1]}`)
  if (asked.cacheControl !== undefined) headers.push('Cache-Control', asked.cacheControl)
  return headers
}

/** How a client sends, and how it reads the response. */
export interface Manner extends Pick<Read, 'agent' | 'leaves' | 'slowMs'> {
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  readonly headers: readonly string[]
}

/** There was no head. */
export class NotAnswered extends Error {
  /** True if the connection had carried a response before: then the server may have closed it as this was sent. */
  readonly kept: boolean

  constructor(cause: Error, kept: boolean) {
    super(cause.message, { cause })
    this.kept = kept
  }
}

/**
 * undefined: the client left, as it was meant to.
 * @throws NotAnswered
 */
export function exchange(port: number, { method, path, headers, agent, leaves, slowMs }: Manner): Promise<Message | undefined> {
  return new Promise((resolve, reject) => {
    const request = open(port, { method, path, headers, ...(agent !== undefined && { agent }) }, (response) => {
      void receive(response, leaves === 'midway', slowMs).then(resolve)
    })
    request.on('error', (error) => reject(new NotAnswered(error, request.reusedSocket)))
    if (leaves === 'at once') {
      setTimeout(() => {
        request.destroy()
        resolve(undefined)
      }, slowMs)
    }
  })
}

async function receive(response: IncomingMessage, leaves: boolean, slowMs: number): Promise<Message | undefined> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of response) {
      pieces.push(piece as Buffer)
      if (leaves) {
        response.destroy()
        return undefined
      }
      if (slowMs > 0) await delay(slowMs)
    }
  } catch {
    // The response was aborted: its bytes are known to be incomplete.
  }
  return { response, body: Buffer.concat(pieces), complete: response.complete }
}

export function field(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function numeric(response: IncomingMessage, name: string): number | undefined {
  const value = field(response, name)
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined
}
