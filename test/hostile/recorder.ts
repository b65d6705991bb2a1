// An origin that records every byte it is sent, reads it strictly, and responds to the requests it could read.
import type { Socket } from 'node:net'
import { startRawOrigin, type RawOrigin } from '../support/scripted-origin.ts'
import { readRequests, type Reading, type WireMessage } from './wire.ts'

export interface Recorder extends RawOrigin {
  /** The bytes of each connection, in one string of latin1 each. */
  readonly received: string[]
  /** Every whole request, as it came, and the bytes that could not be read. */
  readonly read: WireMessage[]
  readonly faults: string[]
  /** Readings of all connections. */
  readings(): Reading[]
  /** Every whole request, in the order of the connections. */
  requests(): WireMessage[]
  /** Forgets all received bytes. Open connections begin anew. */
  forget(): void
}

export type Respond = (request: WireMessage, socket: Socket) => string | undefined

const plainAnswer: Respond = ({ line }) => {
  const body = `seen ${line}`
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\n\r\n${line.startsWith('HEAD ') ? '' : body}`
}

/** `respond` returns the bytes of a response (latin1), or undefined for none. Bytes that cannot be read close the connection. */
export async function startRecorder(respond: Respond = plainAnswer): Promise<Recorder> {
  const received: string[] = []
  const read: WireMessage[] = []
  const faults: string[] = []
  // Requests that were read and responded to are not read again.
  const slots = new Map<Socket, number>()
  const origin = await startRawOrigin((socket) => {
    let pending = ''
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1')
      let slot = slots.get(socket)
      if (slot === undefined) {
        slot = received.length
        slots.set(socket, slot)
        received.push('')
      }
      received[slot] += text
      pending += text
      const { messages, rest, fault } = readRequests(pending)
      pending = rest
      read.push(...messages)
      if (fault !== undefined) faults.push(fault)
      for (const message of messages) {
        const answer = respond(message, socket)
        if (answer !== undefined) socket.write(Buffer.from(answer, 'latin1'))
      }
      if (fault !== undefined) socket.destroy()
    })
  })
  return {
    ...origin,
    received,
    read,
    faults,
    readings: () => received.map((bytes) => readRequests(bytes)),
    requests: () => received.flatMap((bytes) => readRequests(bytes).messages),
    forget: () => {
      received.length = read.length = faults.length = 0
      slots.clear()
    },
  }
}
