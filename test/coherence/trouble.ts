// What goes wrong while the clients are at it: processes freeze and die, wires stall and break, Redis forgets.
import { connect } from 'node:net'
import type { RedisServer } from '../support/redis.ts'
import type { Steps } from './clients.ts'
import { type Random, wait } from './random.ts'
import type { WiredReplica } from './replica.ts'
import type { Trail } from './trail.ts'

export interface TroubleParts {
  readonly trail: Trail
  readonly replicas: readonly WiredReplica[]
  readonly redis: RedisServer
  readonly maxLagMs: number
  readonly random: Random
  /** One kind alone; undefined: all of them. */
  readonly only: TroubleKind | undefined
}

export type TroubleKind = keyof typeof kinds

/** What may go wrong, and how often in comparison. */
export const kinds = {
  'short pause': 22, 'long pause': 12, 'worker paused': 8, 'worker killed': 4, 'replica killed': 7,
  'wire cut': 16, 'wire stalled there': 10, 'wire stalled back': 10, 'wire severed': 7, 'redis paused': 4, 'redis flushed': 4, 'redis restarted empty': 1.5,
}

// So that most purges are confirmed, and promise something: what is never confirmed cannot be broken.
const mostAtOnce = 2

/** As the steps go by: troubles, one after the other and now and then two at once, with quiet between them. */
export async function makeTrouble(parts: TroubleParts, steps: Steps): Promise<void> {
  const { random } = parts
  const running = new Set<Promise<void>>()
  let next = steps.taken + random.between(20, 100)
  while (steps.left) {
    await wait(20)
    if (steps.taken < next || running.size >= mostAtOnce) continue
    next = steps.taken + random.between(5, 130)
    const one = trouble(parts).finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
}

async function trouble({ trail, replicas, redis, maxLagMs, random, only }: TroubleParts): Promise<void> {
  const kind = only ?? random.weighted(kinds)
  const replica = random.pick(replicas)
  if (!replica.up) return
  const begun = (what: string): void => {
    trail.count(`trouble: ${kind}`)
    trail.note('trouble', `${replica.name}: ${what}`)
  }
  // Shorter and longer than what a replica may go by what it knows, and than what it is counted as live for.
  const longMs = random.between(Math.floor(maxLagMs * 0.9), maxLagMs * 4)
  switch (kind) {
    case 'short pause':
      return pause(begun, (signal) => replica.signal(signal), random.between(10, 400))
    case 'long pause':
      return pause(begun, (signal) => replica.signal(signal), longMs)
    case 'worker paused':
    case 'worker killed': {
      const pid = random.pick(replica.workerPids)
      if (pid === undefined) return
      if (kind === 'worker paused') return pause(begun, (signal) => signalWorker(pid, signal), longMs)
      begun(`worker ${pid} is killed`)
      return signalWorker(pid, 'SIGKILL')
    }
    case 'replica killed':
      // Somebody must be there to be asked.
      if (replicas.some(({ up }) => !up)) return
      begun('killed')
      await replica.kill()
      await wait(random.between(0, 500))
      await replica.start()
      trail.note('trouble', `${replica.name}: serves again`)
      return
    case 'wire cut':
      begun('its connections to Redis break')
      return replica.wire.cut()
    case 'wire stalled there':
    case 'wire stalled back': {
      const direction = kind === 'wire stalled there' ? 'there' : 'back'
      const ms = random.between(20, random.chance(0.8) ? 1000 : maxLagMs * 3)
      begun(`nothing goes ${direction} on its wire for ${ms} ms`)
      return replica.wire.stall(direction, ms)
    }
    case 'wire severed': {
      const ms = random.between(100, maxLagMs * 3)
      begun(`cut off from Redis for ${ms} ms`)
      return replica.wire.sever(ms)
    }
    case 'redis paused':
      return pause(begun, (signal) => redis.kill(signal), random.between(50, 700))
    case 'redis flushed':
      // Half of the time while a replica does not hear of it, and yet may go by what it knew before.
      if (random.chance(0.5)) replica.wire.stall(random.pick(['there', 'back']), random.between(100, maxLagMs))
      begun('and all others: Redis is flushed')
      return flush(redis.port)
    case 'redis restarted empty':
      begun('and all others: Redis is killed, and starts again empty')
      await redis.stop()
      return redis.restart()
  }
}

async function pause(begun: (what: string) => void, send: (signal: 'SIGSTOP' | 'SIGCONT') => void, ms: number): Promise<void> {
  begun(`frozen for ${ms} ms`)
  send('SIGSTOP')
  await wait(ms)
  send('SIGCONT')
}

function flush(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('FLUSHALL\r\n'))
    socket.once('data', () => socket.end())
    socket.once('close', () => resolve())
    // Redis is away just now: then it forgets anyway, or nothing.
    socket.once('error', () => resolve())
  })
}

function signalWorker(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}
