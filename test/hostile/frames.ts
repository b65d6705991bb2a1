// HTTP/2 by hand (RFC 9113, RFC 7541), for frames that no client library would send.
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { testCertificate } from '../support/certificate.ts'

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8, continuation: 9 } as const
export const endStream = 1
export const endHeaders = 4

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1')
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

/** An integer of RFC 7541 §5.1 with a prefix of seven bits, for the length of a string that is not compressed. */
function lengthOf(text: string): Buffer {
  if (text.length < 127) return Buffer.from([text.length])
  const bytes = [127]
  let rest = text.length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** A field block of literals that are neither compressed nor indexed. */
export function fieldBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), lengthOf(name), Buffer.from(name, 'latin1'), lengthOf(value), Buffer.from(value, 'latin1')]))
}

export interface Connection2 {
  readonly socket: TLSSocket
  /** Frames of the other side: type, flags, stream, payload. */
  readonly heard: { type: number; flags: number; stream: number; payload: Buffer }[]
  /** Resolves when such a frame is among the received ones, or the connection is closed. */
  until(holds: (frame: { type: number; flags: number; stream: number }) => boolean): Promise<void>
}

/** A connection whose preface and settings have been sent. */
export async function connect2(port: number): Promise<Connection2> {
  const socket = connect({ port, host: '127.0.0.1', ca: testCertificate, ALPNProtocols: ['h2'], servername: 'localhost' })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  const heard: Connection2['heard'] = []
  let pending = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 9) {
      const length = pending.readUIntBE(0, 3)
      if (pending.length < 9 + length) break
      heard.push({ type: pending.readUInt8(3), flags: pending.readUInt8(4), stream: pending.readUInt32BE(5), payload: pending.subarray(9, 9 + length) })
      pending = pending.subarray(9 + length)
      socket.emit('frame')
    }
  })
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(frameType.settings, 0, 0)]))
  return {
    socket,
    heard,
    until: (holds) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!socket.destroyed && !heard.some(holds)) return
          socket.off('frame', look)
          resolve()
        }
        socket.on('frame', look)
        socket.on('close', look)
        look()
      }),
  }
}
