// Redis freezes, forgets, dies, and gives way to a standby that lacks the last writes.
import { wait, type Random } from '../random.ts'
import { redisCommand } from '../redis-command.ts'
import { stepMs } from './clocks.ts'
import { anotherOne, pause, type Kind, type Occasion } from './parts.ts'

// Mostly so short that one purge or none is lost, which is when an id may be given again.
function behindMs(random: Random): number {
  switch (random.weighted({ none: 1, little: 3, much: 1 })) {
    case 'none':
      return 0
    case 'little':
      return random.between(100, 400)
    case 'much':
      return random.between(50, 2000)
  }
}

async function purgeSomewhere(occasion: Occasion): Promise<void> {
  const replica = anotherOne(occasion)
  if (replica !== undefined) await occasion.client.purge(replica)
}

async function purgeForAWhile(occasion: Occasion): Promise<void> {
  for (let i = 0; i < 10; i++) {
    void purgeSomewhere(occasion)
    await wait(50)
  }
}

export const redisTroubles = {
  'redis paused': {
    weight: 4, claims: ['redis'],
    act: ({ begun, redis, random }) => pause(begun, (signal) => redis.master.kill(signal), random.between(50, 700)),
  },
  'redis flushed': {
    weight: 4, claims: ['redis'],
    act: async ({ begun, redis, replica, random, maxLagMs }) => {
      // Half of the time while a replica does not hear of it, and yet may go by what it knew before.
      if (random.chance(0.5)) replica.wire.stall(random.pick(['there', 'back']), random.between(100, maxLagMs))
      begun('and all others: Redis is flushed')
      await redisCommand(redis.port, 'FLUSHALL')
    },
  },
  'redis restarted empty': {
    weight: 1.5, claims: ['redis'],
    act: async ({ begun, redis }) => {
      begun('and all others: Redis is killed, and starts again empty')
      await redis.master.stop()
      await redis.master.restart()
    },
  },
  'redis failover': {
    weight: 5, needs: 'standby', claims: ['redis', 'starts'],
    act: async (occasion) => {
      const { begun, redis, replicas, random, maxLagMs, trail } = occasion
      // Both behind: then the ids of records go on from the last one, on the promoted server too.
      const behind = random.chance(0.5)
      const backMs = behind ? -Math.abs(stepMs(random)) : 0
      redis.clock?.stepWall(backMs)
      redis.standbyClock?.stepWall(backMs)
      if (!behind && random.chance(0.5)) redis.standbyClock?.stepWall(stepMs(random))
      const how = {
        behindMs: behindMs(random),
        master: random.pick(['killed', 'fenced'] as const), withoutMs: random.between(0, 1000), spreadMs: random.pick([0, 500]),
      }
      const clocks = `clocks ${Math.round(redis.clock?.wallAheadMs ?? 0)} and ${Math.round(redis.standbyClock?.wallAheadMs ?? 0)} ms ahead`
      begun(`and all others: Redis fails over to a standby, ${JSON.stringify(how)}, ${clocks}`)
      // One that is applied and lost; then others, of which the first may come before replicas have read on.
      setTimeout(() => void purgeSomewhere(occasion), how.behindMs / 4)
      const done = await redis.failover(how, replicas.map(({ wire }) => wire), () => void purgeForAWhile(occasion))
      trail.note('trouble', done ? 'Redis has failed over, and has a standby again' : 'Redis has no standby to fail over to')
      // A process that dies now may be the last that knows of a record that was lost: see docs/coherence.md.
      await wait(maxLagMs * 2)
      redis.clock?.setRight()
      redis.standbyClock?.setRight()
    },
  },
} satisfies Record<string, Kind>
