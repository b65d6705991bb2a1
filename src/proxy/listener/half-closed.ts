// Clients that end their side of a connection behind a complete request, and wait for the response (`printf … | nc`).
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** How long such a client waits for a head at most. It may have left, without a sign of that on the wire. */
export const halfClosedMs = 10_000
const checkedEveryMs = 1_000

/** The response in flight on a connection, as Http1Response has it; Node keeps it there. */
interface InFlight {
  readonly headersSent: boolean
  readonly isEventStream?: boolean
}

interface State {
  ended: boolean
  readonly listeners: Set<() => void>
}

const states = new WeakMap<Socket, State>()

function stateOf(socket: Socket): State {
  const known = states.get(socket)
  if (known !== undefined) return known
  const state = { ended: false, listeners: new Set<() => void>() }
  states.set(socket, state)
  return state
}

const nothing = (): void => {}

/** Calls `listener` once the client has ended its side of the connection, now if it has. Returns a function that forgets the listener. */
export function whenHalfClosed(socket: Socket, listener: () => void): () => void {
  const state = states.get(socket)
  if (state === undefined) return nothing // not watched: over TLS the end of one side ends the connection
  if (state.ended) listener()
  else state.listeners.add(listener)
  return () => state.listeners.delete(listener)
}

export function isHalfClosed(socket: Socket | null): boolean {
  return socket !== null && states.get(socket)?.ended === true
}

/**
 * Makes a plain listener write its responses to clients that have ended their side. An event stream ends with that side, and so does
 * a request whose head takes longer than `patienceMs`, or whose body pauses for as long: nothing else shows that its client has left.
 */
export function serveHalfClosed(server: Server, patienceMs = halfClosedMs): void {
  if (server instanceof TlsServer) return // Node ends the connection otherwise. It closes it behind the last response now.
  ;(server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true
  server.on('connection', (socket: Socket) => {
    const state = stateOf(socket)
    socket.once('end', () => {
      const inFlight = () => (socket as Socket & { _httpMessage?: InFlight | null })._httpMessage
      state.ended = true
      if (inFlight()?.isEventStream === true) return void socket.destroy()
      for (const listener of state.listeners) listener()
      state.listeners.clear()
      let checks: NodeJS.Timeout | undefined
      let writtenBefore = socket.bytesWritten
      const check = (): void => {
        // A response that has begun goes on while bytes arrive. The next one on the connection is checked too.
        const isSilent = socket.bytesWritten === writtenBefore
        writtenBefore = socket.bytesWritten
        if (inFlight()?.headersSent === false || (isSilent && socket.writableLength === 0)) socket.destroy()
      }
      const first = setTimeout(() => {
        check()
        checks = setInterval(check, Math.max(checkedEveryMs, patienceMs))
      }, patienceMs)
      socket.once('close', () => {
        clearTimeout(first)
        clearInterval(checks)
      })
    })
  })
}
