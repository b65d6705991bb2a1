// Sends one command to a Redis server, on a separate connection.
import { connect } from 'node:net'

/** The reply as it is on the wire; undefined if the server is away. */
export function redisCommand(port: number, command: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reply = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\nQUIT\r\n`))
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('data', (piece) => {
      reply += piece.toString('latin1')
    })
    socket.once('error', () => {})
    socket.once('close', () => resolve(reply === '' ? undefined : reply))
  })
}
