// Clocks are set, drift, and stand still while a machine is suspended.
import { wait, type Random } from '../random.ts'
import type { Kind, Occasion } from './parts.ts'

const hourMs = 3_600_000

/** From a second to an hour, either way: as likely seconds as minutes. */
export function stepMs(random: Random): number {
  const ms = Math.round(1000 * 3600 ** random.next())
  return random.chance(0.5) ? ms : -ms
}

export const clockTroubles = {
  'replica clock': {
    weight: 8, needs: 'clocks',
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
    weight: 5, needs: 'clocks',
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
    weight: 8, needs: 'clocks',
    act: async ({ begun, replica, random, maxLagMs }) => {
      const ms = random.between(maxLagMs, maxLagMs * 7)
      begun(`its machine is suspended for ${ms} ms`)
      replica.signal('SIGSTOP')
      // A signal takes a moment to stop every thread: none may read a clock that has been set back already.
      await wait(20)
      const fromNs = process.hrtime.bigint()
      await wait(ms)
      replica.clock?.suspended(process.hrtime.bigint() - fromNs)
      replica.signal('SIGCONT')
    },
  },
  'redis clock': {
    weight: 6, needs: 'clocks', claims: ['redis', 'starts'],
    act: async (occasion) => {
      const { begun, redis, random, longMs } = occasion
      const ms = random.chance(0.1) ? hourMs : stepMs(random)
      await meanwhile(occasion, () => {
        begun(`and all others: the clock of Redis is set ${ms} ms ${ms > 0 ? 'forward' : 'back'}`)
        redis.clock?.stepWall(ms)
      })
      await wait(longMs)
      await meanwhile(occasion, () => {
        begun('and all others: the clock of Redis is set right')
        redis.clock?.setRight()
      })
    },
  },
} satisfies Record<string, Kind>

// Sets the clock while all is well, while the link of a replica hangs, or while a replica is dead and still registered.
async function meanwhile({ replica, replicas, random, trail }: Occasion, set: () => void): Promise<void> {
  switch (random.pick(['well', 'hangs', 'hangs', 'dead'])) {
    case 'well':
      return set()
    case 'hangs':
      trail.note('trouble', `${replica.name}: nothing goes either way on its wire for 1300 ms`)
      replica.wire.stall('there', 1300)
      replica.wire.stall('back', 1300)
      await wait(random.between(0, 300))
      set()
      return wait(1300)
    case 'dead':
      if (replicas.some(({ up }) => !up)) return set()
      trail.note('trouble', `${replica.name}: killed`)
      await replica.kill()
      set()
      await replica.start()
      trail.note('trouble', `${replica.name}: serves again`)
  }
}
