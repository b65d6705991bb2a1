// Active health checks: a request to each server, at an interval.
import { isExhaustion, mapOriginError } from '../failures.ts'
import type { ResponseHandler, Transport, TransportPool } from '../transport/transport.ts'

/** Why a check failed: the status of the response, or the error without one. */
export interface CheckFailure {
  readonly path: string
  readonly status?: number
  readonly err?: Error
}

/** A server, as a health check needs it. */
export interface CheckedServer {
  /** Returns a target as the server gets it. */
  targetOf(target: string): string
  /** The Host of each request; undefined: that of the server's URL. */
  readonly ownHost: string | undefined
  /** Opens connections outside the server's limit. */
  lines(count: number): TransportPool
  /** Takes the result of one check: undefined if it passed. */
  checked(failure: CheckFailure | undefined): void
}

/** Checks a server until stopped, over connections outside its limit. The timer keeps no process alive. */
export function watchHealth(server: CheckedServer, check: { readonly path: string; readonly intervalMs: number }): { stop(): Promise<void> } {
  const lines = server.lines(1)
  const headers = ['user-agent', 'springhouse-health', ...(server.ownHost === undefined ? [] : ['host', server.ownHost])]
  let asking = false
  let stopped = false

  async function ask(): Promise<void> {
    // If the server is slower than the interval, there is still only one check at a time; its timeouts fail the check.
    if (asking || stopped) return
    asking = true
    try {
      const status = await statusOf(lines, server.targetOf(check.path), headers)
      if (!stopped) server.checked(status >= 200 && status < 400 ? undefined : { path: check.path, status })
    } catch (error) {
      // If this machine cannot connect, the check says nothing about the server.
      const failure = mapOriginError(error)
      if (!stopped && !isExhaustion(failure)) server.checked({ path: check.path, err: error as Error })
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
      await lines.close()
    },
  }
}

/** Resolves to the status of a complete response. */
function statusOf(lines: TransportPool, path: string, headers: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    lines.acquire({
      repeatable: true,
      uploads: false,
      start: (transport) => transport.dispatch({ path, method: 'GET', fields: headers, body: null }, whole(transport, resolve, reject)),
      onConnectError: reject,
    })
  })
}

function whole(transport: Transport, resolve: (status: number) => void, reject: (error: Error) => void): ResponseHandler {
  let started = false
  let status = 0
  return {
    onRequestStart: () => {
      started = true
    },
    onResponseStart: (_control, code) => {
      status = code
    },
    onResponseData: () => undefined,
    onResponseEnd: () => {
      transport.release()
      resolve(status)
    },
    onResponseError: (_control, error) => {
      if (started) transport.release()
      else transport.discard()
      reject(error)
    },
  }
}
