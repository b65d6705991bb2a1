// Active health checks: asking each server, at an interval, whether it is well.
import type { OriginServer } from './server.ts'

/** Checks a server until it is stopped. The timer keeps no process alive. */
export function watchHealth(server: OriginServer, check: { readonly path: string; readonly intervalMs: number }): { stop(): Promise<void> } {
  const { client } = server.connect()
  let asking = false
  let stopped = false

  async function ask(): Promise<void> {
    // A server that is slower than the interval is not asked twice at once; its timeouts will tell.
    if (asking || stopped) return
    asking = true
    try {
      const { statusCode, body } = await client.request({ path: check.path, method: 'GET', headers: { 'user-agent': 'springhouse-health' } })
      await body.dump()
      if (!stopped) server.checked(statusCode >= 200 && statusCode < 400)
    } catch {
      if (!stopped) server.checked(false)
    } finally {
      asking = false
    }
  }

  const timer = setInterval(() => void ask(), check.intervalMs)
  timer.unref()
  void ask()
  return {
    stop: async () => {
      stopped = true
      clearInterval(timer)
      await client.destroy()
    },
  }
}
