// A client connection: sends bytes, and collects all that comes back until it is closed, by the other side or after a silence.
import { connect } from 'node:net'

export interface Heard {
  /** latin1 */
  readonly bytes: string
  /** True if the other side closed the connection, rather than falling silent. */
  readonly closed: boolean
}

/** How long a connection may be silent before the client closes it: longer than any response takes on a busy machine. */
const patienceMs = 10_000

/** @param send the bytes, written in one go; or several writes, each after the one before has had time to arrive by itself */
export function exchange(port: number, send: string | readonly string[], silenceMs: number = patienceMs): Promise<Heard> {
  return new Promise((resolve) => {
    let bytes = ''
    let closed = true
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    const leave = (): void => {
      closed = false
      socket.destroy()
    }
    socket.setTimeout(silenceMs, leave)
    const parts = typeof send === 'string' ? [send] : [...send]
    const next = (): void => {
      const part = parts.shift()
      if (part === undefined || socket.destroyed) return
      socket.write(Buffer.from(part, 'latin1'), () => {
        if (parts.length > 0) setTimeout(next, 20)
      })
    }
    socket.on('connect', next)
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve({ bytes, closed }))
  })
}
