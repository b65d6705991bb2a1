// Redis freezes, forgets, dies, and is replaced by a standby that lacks the last writes.
import { wait } from '../random.ts'
import { redisCommand } from '../redis-command.ts'
import type { Failover } from '../servers.ts'
import { stepMs } from './clocks.ts'
import { anotherOne, pause, type Kind, type Occasion } from './parts.ts'

export const redisTroubles = {
  'redis paused': {
    weight: 4,
    claims: ['redis'],
    act: ({ begun, redis, random }) => pause(begun, (signal) => redis.master.kill(signal), random.between(50, 700)),
  },
  'redis flushed': {
    weight: 4,
    claims: ['redis'],
    act: async ({ begun, redis, replica, random, maxLagMs }) => {
      // Half of the time while a replica is disconnected, and may still use its earlier knowledge.
      if (random.chance(0.5)) replica.wire.stall(random.pick(['there', 'back']), random.between(100, maxLagMs))
      begun('and all others: Redis is flushed')
      await redisCommand(redis.port, 'FLUSHALL')
    },
  },
  'redis restarted empty': {
    weight: 1.5,
    claims: ['redis'],
    act: async ({ begun, redis }) => {
      begun('and all others: Redis is killed, and starts again empty')
      await redis.master.stop()
      await redis.master.restart()
    },
  },
  // Purges are lost that every replica has applied. Nothing is promised for a replica that was away meanwhile.
  'redis restored': {
    weight: 3,
    alone: true,
    act: async ({ begun, redis, random, maxLagMs, trail }) => {
      await wait(maxLagMs)
      await redisCommand(redis.port, 'SAVE')
      begun('and all others: Redis saves a snapshot')
      await wait(random.between(0, maxLagMs * 3))
      if (random.chance(0.5)) {
        trail.note('trouble', 'Redis is flushed')
        await redisCommand(redis.port, 'FLUSHALL')
        await wait(random.between(maxLagMs, maxLagMs * 3))
      }
      begun('and all others: Redis is killed, and starts again with that snapshot')
      await redis.master.stop()
      await redis.master.restart('snapshot')
      await wait(maxLagMs * 2)
    },
  },
  'redis failover': {
    weight: 4,
    needs: ['standby'],
    claims: ['redis', 'starts'],
    act: async (occasion) => {
      const { redis, random } = occasion
      if (random.chance(0.6)) redis.standbyClock?.stepWall(stepMs(random))
      const behindMs = random.pick([0, random.between(20, 300), random.between(50, 2000)])
      await failover(occasion, `what was written in the last ${behindMs} ms is lost`, { behind: () => wait(behindMs), promoted: () => {} }, random.pick([0, 1000, 2500]))
    },
  },
  // The clocks of both servers are behind, so ids continue from the last one, on the promoted server too: an id may be used
  // twice. A replica misses the lost record, reaches the promoted server first, and receives a purge.
  'id given twice': {
    weight: 2,
    needs: ['clocks', 'standby'],
    claims: ['redis', 'starts'],
    act: async (occasion) => {
      const { redis, replica, random, client } = occasion
      const backMs = -random.between(60_000, 3_600_000)
      for (const clock of [redis.clock, redis.standbyClock]) clock?.stepWall(backMs)
      const other = anotherOne(occasion)
      await failover(occasion, `a purge is lost, and another may get its id, by clocks that are ${-backMs} ms behind`, {
        behind: async () => {
          replica.wire.stall('back', 5000)
          if (other !== undefined) await client.purge(other, 500)
        },
        promoted: () => {
          replica.wire.stall('back', 0)
          void untilRecorded(occasion)
        },
      }, 2500)
    },
  },
} satisfies Record<string, Kind>

async function failover({ begun, redis, replica, replicas, random, trail, maxLagMs }: Occasion, what: string, moments: Pick<Failover, 'behind' | 'promoted'>,
  spreadMs: number): Promise<void> {
  const how = { master: random.pick(['killed', 'fenced'] as const), withoutMs: random.between(0, 600), spreadMs }
  begun(`and all others: Redis fails over to a standby: ${what}, ${JSON.stringify(how)}`)
  const done = await redis.failover({ ...how, ...moments }, [replica, ...replicas.filter((each) => each !== replica)].map(({ wire }) => wire))
  trail.note('trouble', done ? 'Redis has failed over, and has a standby again' : 'Redis has no standby to fail over to')
  // A process that dies now may be the last that knows of a lost record: see docs/coherence.md.
  await wait(maxLagMs * 2)
  redis.clock?.setRight()
  redis.standbyClock?.setRight()
}

async function untilRecorded({ replica, client }: Occasion): Promise<void> {
  for (let attempt = 0; attempt < 60 && replica.up && await client.purgeAll(replica) === 503; attempt++) await wait(30)
}
