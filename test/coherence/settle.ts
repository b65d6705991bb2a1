// Conditions that must hold again without trouble: purges are confirmed, unchanged resources hit, and all replicas agree on
// the latest.
import { ask, type Answer } from '../support/client.ts'
import { wait } from './random.ts'
import type { Scene } from './reading.ts'
import { host, token, type WiredReplica } from './replica.ts'
import { lasting } from './resources.ts'

// Longer than any registration or lag lasts, on the busiest machine. A permanent fault lasts for minutes.
const patienceMs = 40_000

/**
 * Call it when all troubles are over and no client is running. Reports the first condition that does not recover to the
 * scene.
 */
export async function settle(scene: Scene): Promise<void> {
  const beganMs = performance.now()
  for (const replica of scene.replicas) {
    let last = ''
    const confirmed = await until(async () => (last = await purged(replica).catch(String)) === confirmedPurge)
    if (!confirmed) return broken(scene, replica, 'a purge is not confirmed', last)
  }
  for (const replica of scene.replicas) {
    for (const { path } of lasting) {
      if (!await until(() => hits(replica, path))) return broken(scene, replica, `${path} does not become a hit`)
    }
  }
  for (const { path } of lasting) {
    const [first, ...others] = scene.replicas as [WiredReplica, ...WiredReplica[]]
    const latest = await renewed(first, path)
    for (const replica of others) {
      if (!await until(() => agrees(replica, path, latest))) return broken(scene, replica, `${path} is older than what ${first.name} has stored since`)
    }
  }
  scene.trail.most('slowest until all was well again, ms', Math.round(performance.now() - beganMs))
}

async function until(wellNow: () => Promise<boolean>): Promise<boolean> {
  const overMs = performance.now() + patienceMs
  while (!await wellNow().catch(() => false)) {
    if (performance.now() > overMs) return false
    await wait(50)
  }
  return true
}

function broken(scene: Scene, replica: WiredReplica, what: string, detail = ''): void {
  const rule = `all has been well for ${patienceMs / 1000} s, and ${what}`
  scene.violated({ rule, purge: undefined }, 'settle', `asked of ${replica.name} ${detail}`)
}

const confirmedPurge = 'confirmed'

// Purges everything: older entries must not block anything either.
async function purged(replica: WiredReplica): Promise<string> {
  const { status, body } = await ask(replica.adminPort, {
    method: 'POST',
    path: '/v1/purge',
    body: JSON.stringify({ all: true, waitMs: 2000 }),
    headers: ['Authorization', `Bearer ${token}`, 'Content-Type', 'application/json'],
  })
  return status === 200 ? confirmedPurge : `${status} ${body.toString()}`
}

async function hits(replica: WiredReplica, path: string): Promise<boolean> {
  const answer = await get(replica, path)
  return answer.status === 200 && /; hit;.* detail=fresh/.test(answer.header('cache-status') ?? '')
}

// Requests a response from the origin that replaces the stored one. Returns the generation of its body; 0 if there was none.
async function renewed(replica: WiredReplica, path: string): Promise<number> {
  const answer = await get(replica, path, 'Cache-Control', 'no-cache').catch(() => undefined)
  return Number(answer?.header('x-body-generation') ?? 0)
}

// A separate connection goes to the next worker: each of them receives a request.
async function agrees(replica: WiredReplica, path: string, latest: number): Promise<boolean> {
  for (let worker = 0; worker < replica.workers; worker++) {
    const answer = await get(replica, path)
    if (Number(answer.header('x-body-generation') ?? 0) < latest) return false
  }
  return true
}

function get(replica: WiredReplica, path: string, ...headers: string[]): Promise<Answer> {
  return ask(replica.proxyPort, { path, headers: ['Host', host, 'X-Flavour', 'sweet', ...headers] })
}
