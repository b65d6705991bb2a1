// An origin that responds to each request with bytes that its target names, valid HTTP or not.
import { startRawOrigin, type RawOrigin } from './scripted-origin.ts'

/** @param bytesFor the bytes (latin1) of the response to a target. They go out in one write. */
export function startCannedAnswers(bytesFor: (target: string, method: string) => string): Promise<RawOrigin> {
  return startRawOrigin((socket) => {
    let seen = ''
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1')
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        const head = seen.slice(0, end)
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
        if (seen.length < end + 4 + length) return
        seen = seen.slice(end + 4 + length)
        const [method = '', target = ''] = head.split(' ', 2)
        socket.write(Buffer.from(bytesFor(target, method), 'latin1'))
      }
    })
  })
}
