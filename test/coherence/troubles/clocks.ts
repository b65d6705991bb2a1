// Clocks are set, drift, and stand still while a machine is suspended.
import { wait, type Random } from '../random.ts'
import { anotherOne, type Kind, type Occasion } from './parts.ts'

/** From a second to an hour, either way: seconds are as likely as minutes. */
export function stepMs(random: Random): number {
  const ms = Math.round(1000 * 3600 ** random.next())
  return random.chance(0.5) ? ms : -ms
}

export const clockTroubles = {
  'replica clock': {
    weight: 8,
    needs: ['clocks'],
    act: async ({ begun, replica, random, longMs }) => {
      const ms = stepMs(random)
      begun(`its clock is set ${ms} ms ${ms > 0 ? 'forward' : 'back'} for ${longMs} ms`)
      replica.clock?.stepWall(ms)
      await wait(longMs)
      begun('its clock is set right')
      replica.clock?.setRight()
    },
  },
  'clock drift': {
    weight: 5,
    needs: ['clocks'],
    act: async ({ begun, replica, random, longMs }) => {
      const rate = random.between(-50_000, 50_000)
      begun(`its clocks run at ${rate} parts in a million too fast for ${longMs} ms`)
      replica.clock?.drift(rate)
      await wait(longMs)
      begun('its clock is set right')
      replica.clock?.setRight()
    },
  },
  'suspended': {
    weight: 8,
    needs: ['clocks'],
    ownsReplica: true,
    act: async (occasion) => {
      const { begun, replica, random, client, maxLagMs } = occasion
      // Usually longer than it counts as live.
      const ms = random.chance(0.3) ? random.between(maxLagMs, maxLagMs * 3) : random.between(maxLagMs * 2 + 2500, maxLagMs * 2 + 5000)
      begun(`its machine is suspended for ${ms} ms`)
      replica.signal('SIGSTOP')
      // Links that were idle for long may be useless when it wakes.
      if (random.chance(0.5)) replica.wire.stall('back', ms + random.between(50, maxLagMs))
      // A signal takes a moment to stop every thread: none may read a clock that was set back already.
      await wait(20)
      const fromNs = process.hrtime.bigint()
      await wait(ms - 300)
      const other = anotherOne(occasion)
      if (other !== undefined) void client.purgeAll(other)
      await wait(300)
      replica.clock?.suspended(process.hrtime.bigint() - fromNs)
      replica.signal('SIGCONT')
      await client.look(replica)
    },
  },
  'redis clock': {
    weight: 6,
    needs: ['clocks'],
    claims: ['redis', 'starts'],
    act: async (occasion) => {
      const { begun, redis, random, maxLagMs } = occasion
      // Half of the time by more than registrations last, and by less than their list does.
      const ms = random.chance(0.5) ? random.pick([-1, 1]) * random.between(maxLagMs * 4, maxLagMs * 30) : stepMs(random)
      await meanwhile(occasion, () => {
        begun(`and all others: the clock of Redis is set ${ms} ms ${ms > 0 ? 'forward' : 'back'}`)
        redis.clock?.stepWall(ms)
      })
      await wait(random.between(100, maxLagMs * 2))
      await meanwhile(occasion, () => {
        begun('and all others: the clock of Redis is set right')
        redis.clock?.setRight()
      })
    },
  },
} satisfies Record<string, Kind>

// Sets the clock in quiet times, while the link of a replica hangs, or while a dead replica is still registered.
async function meanwhile(occasion: Occasion, set: () => void): Promise<void> {
  const { replica, replicas, random, trail, client, maxLagMs } = occasion
  const hangsMs = Math.round(maxLagMs * 1.3)
  switch (random.weighted({ well: 1, hangs: 4, dead: 2 })) {
    case 'well':
      return set()
    case 'hangs':
      trail.note('trouble', `${replica.name}: nothing goes either way on its wire for ${hangsMs} ms`)
      replica.wire.stall('there', hangsMs)
      replica.wire.stall('back', hangsMs)
      await wait(random.between(0, 100))
      set()
      // After others have read on, and before the disconnected replica gives up its knowledge.
      await wait(maxLagMs * (random.chance(0.7) ? 0.35 : random.next() * 0.6))
      const other = anotherOne(occasion)
      await Promise.all([wait(hangsMs), other === undefined ? undefined : client.purgeAll(other)])
      return
    case 'dead':
      if (replicas.some(({ up }) => !up)) return set()
      trail.note('trouble', `${replica.name}: killed`)
      await replica.kill()
      set()
      await replica.start()
      trail.note('trouble', `${replica.name}: serves again`)
  }
}
