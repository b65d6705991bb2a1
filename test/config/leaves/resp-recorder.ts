// A server where a Redis is expected: it notes the commands that it is sent, and says OK to each.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { testCertificate, testKey } from '../../support/certificate.ts'

export interface RespRecorder {
  readonly port: number
  /** Each command with its arguments, of all connections. */
  readonly commands: readonly (readonly string[])[]
  /** Connections that have ended, or whose handshake has failed. */
  readonly ended: number
  readonly tls: readonly { readonly servername: string | undefined; readonly client: string | undefined }[]
}

/** @param secure true for TLS with a request for a client certificate, which clients need not have */
export async function startRespRecorder(t: Test, secure = false): Promise<RespRecorder> {
  const commands: string[][] = []
  const tls: { servername: string | undefined; client: string | undefined }[] = []
  const sockets = new Set<Socket>()
  let ended = 0
  const take = (socket: Socket): void => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('close', () => {
      ended++
    })
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      for (;;) {
        const command = readCommand(text)
        if (command === undefined) return
        text = text.slice(command.length)
        commands.push(command.words)
        // Without RESP3, as old servers say it.
        socket.write(command.words[0]?.toUpperCase() === 'HELLO' ? "-ERR unknown command 'HELLO'\r\n" : '+OK\r\n')
      }
    })
  }
  const server: Server = secure
    ? createTlsServer({ cert: testCertificate, key: testKey, requestCert: true, rejectUnauthorized: false }, (socket: TLSSocket) => {
      tls.push({ servername: (socket as unknown as { servername?: string | false }).servername || undefined, client: socket.getPeerCertificate().fingerprint256 })
      take(socket)
    }).on('tlsClientError', () => {
      ended++
    })
    : createServer(take)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    commands,
    tls,
    get ended() {
      return ended
    },
  }
}

function readCommand(text: string): { words: string[]; length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text)
  if (head === null) return undefined
  const words: string[] = []
  let at = head[0].length
  for (let word = 0; word < Number(head[1]); word++) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20))
    if (size === null) return undefined
    const from = at + size[0].length
    at = from + Number(size[1]) + 2
    if (text.length < at) return undefined
    words.push(text.slice(from, at - 2))
  }
  return { words, length: at }
}
