// Links between replicas and Redis break, hang, or fall silent for ever.
import { wait } from '../random.ts'
import type { Direction } from '../wire.ts'
import type { Kind, Occasion } from './parts.ts'

export const linkTroubles = {
  'wire cut': {
    weight: 16,
    act: ({ begun, replica }) => {
      begun('its connections to Redis break')
      replica.wire.cut()
    },
  },
  'wire stalled there': { weight: 10, act: (occasion) => stalled(occasion, 'there') },
  'wire stalled back': { weight: 10, act: (occasion) => stalled(occasion, 'back') },
  'wire severed': {
    weight: 7,
    act: ({ begun, replica, random, maxLagMs }) => {
      const ms = random.between(100, maxLagMs * 3)
      begun(`cut off from Redis for ${ms} ms`)
      replica.wire.sever(ms)
      return wait(ms)
    },
  },
  'wire silent': {
    weight: 8,
    act: ({ begun, replica, longMs }) => {
      begun(`nothing goes either way on its wire for ${longMs} ms`)
      replica.wire.stall('there', longMs)
      replica.wire.stall('back', longMs)
      return wait(longMs)
    },
  },
  'subscriber silent': {
    weight: 5,
    claims: ['subscriptions'],
    act: async ({ begun, replica, random }) => {
      if (!replica.wire.silenceSubscriber()) return
      begun('a connection that subscribes falls silent')
      await wait(random.between(1000, 4000))
    },
  },
  'posts without Redis': {
    weight: 6,
    act: async ({ begun, replica, random, client, maxLagMs }) => {
      const ms = random.between(maxLagMs, maxLagMs * 4)
      begun(`nothing goes either way on its wire for ${ms} ms, and clients post to it`)
      replica.wire.stall('there', ms)
      replica.wire.stall('back', ms)
      const over = performance.now() + ms
      while (performance.now() < over) {
        if (replica.up) await client.post(replica)
        await wait(random.between(50, 400))
      }
    },
  },
} satisfies Record<string, Kind>

function stalled({ begun, replica, random, maxLagMs }: Occasion, direction: Direction): Promise<void> | undefined {
  const ms = random.between(20, random.chance(0.8) ? 1000 : maxLagMs * 3)
  begun(`nothing goes ${direction} on its wire for ${ms} ms`)
  replica.wire.stall(direction, ms)
  return wait(ms)
}
