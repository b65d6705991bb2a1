// Replicas and workers freeze, die, and start again.
import { wait } from '../random.ts'
import { pause, type Kind, type Occasion } from './parts.ts'

export const processTroubles = {
  'short pause': { weight: 22, act: ({ begun, replica, random }) => pause(begun, (signal) => replica.signal(signal), random.between(10, 400)) },
  'long pause': { weight: 12, act: ({ begun, replica, longMs }) => pause(begun, (signal) => replica.signal(signal), longMs) },
  'worker paused': {
    weight: 8,
    act: async ({ begun, replica, random, longMs }) => {
      const pid = random.pick(replica.workerPids)
      if (pid !== undefined) await pause(begun, (signal) => signalWorker(pid, signal), longMs)
    },
  },
  'worker killed': {
    weight: 4,
    claims: ['starts'],
    act: async ({ begun, replica, random }) => {
      const pid = random.pick(replica.workerPids)
      if (pid === undefined) return
      begun(`worker ${pid} is killed`)
      signalWorker(pid, 'SIGKILL')
      // Until another one serves in its place.
      const alive = (): boolean => replica.workerPids.length === replica.workers && !replica.workerPids.includes(pid)
      for (let attempt = 0; attempt < 500 && !alive(); attempt++) await wait(20)
    },
  },
  'replica killed': {
    weight: 7,
    claims: ['starts'],
    act: async (occasion) => {
      occasion.begun('killed')
      await restart(occasion)
    },
  },
  'rules differ': {
    weight: 3,
    claims: ['starts'],
    act: async (occasion) => {
      const { begun, replica, replicas, random, client } = occasion
      // A replica must be left to serve.
      if (replicas.some(({ up }) => !up)) return
      begun('starts again with rules by which cookies mean nothing')
      replica.lax = true
      await replica.kill()
      await replica.start()
      await client.look(replica)
      await wait(random.between(500, 3000))
      begun('starts again with the rules that the others have')
      await replica.kill()
      replica.lax = false
      await replica.start()
    },
  },
} satisfies Record<string, Kind>

async function restart({ replica, replicas, random, trail }: Occasion): Promise<void> {
  // A replica must be left to serve.
  if (replicas.some(({ up }) => !up)) return
  await replica.kill()
  await wait(random.between(0, 500))
  await replica.start()
  trail.note('trouble', `${replica.name}: serves again`)
}

function signalWorker(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}
