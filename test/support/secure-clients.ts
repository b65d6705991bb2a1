// A client that speaks HTTP/1.1 and HTTP/2 with a TLS listener, and describes each response in the same form.
import { connect, constants, type ClientHttp2Session } from 'node:http2'
import { Agent, request } from 'node:https'
import { testCertificate } from './certificate.ts'

export interface SecureAnswer {
  readonly status: number
  /** Name in lower case, value, name, value, as they came. */
  readonly lines: readonly string[]
  readonly trailers: readonly string[]
  /** The statuses of the interim responses before it. */
  readonly interim: readonly number[]
  readonly body: string
  /** Why it is not whole; undefined: it is. */
  readonly broken: string | undefined
}

export interface SecureClients {
  ask(protocol: 'h1' | 'h2', path: string, method?: string, fields?: Readonly<Record<string, string>>): Promise<SecureAnswer>
  close(): void
}

/** How long a response may keep silent: longer than any takes on a busy machine. */
const patienceMs = 20_000

/** Opens a connection for each protocol, and again when the other side closed it. */
export function secureClients(port: number): SecureClients {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: testCertificate })
  let session: ClientHttp2Session | undefined
  const open = (): ClientHttp2Session => {
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(`https://127.0.0.1:${port}`, { ca: testCertificate })
      session.on('error', () => undefined)
    }
    return session
  }
  return {
    ask: (protocol, path, method = 'GET', fields = {}) => (protocol === 'h1' ? ask1(agent, port, path, method, fields) : ask2(open(), path, method, fields)),
    close: () => {
      agent.destroy()
      session?.destroy()
    },
  }
}

function ask1(agent: Agent, port: number, path: string, method: string, fields: Readonly<Record<string, string>>): Promise<SecureAnswer> {
  return new Promise((resolve) => {
    const interim: number[] = []
    const none = (broken: string): void => resolve({ status: 0, lines: [], trailers: [], interim, body: '', broken })
    const sent = request({ host: '127.0.0.1', port, path, method, headers: { ...fields, ...(method === 'POST' && { 'content-length': '0' }) }, agent }, (response) => {
      let body = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', () => undefined)
      response.on('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          lines: response.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)),
          trailers: response.rawTrailers.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)),
          interim,
          body,
          broken: response.complete ? undefined : 'cut',
        }))
    })
    sent.on('information', ({ statusCode }) => void interim.push(statusCode))
    sent.on('error', (error) => none(error.message))
    sent.setTimeout(patienceMs, () => sent.destroy(new Error('no response')))
    sent.end()
  })
}

function ask2(session: ClientHttp2Session, path: string, method: string, fields: Readonly<Record<string, string>>): Promise<SecureAnswer> {
  return new Promise((resolve) => {
    const interim: number[] = []
    let lines: string[] = []
    let trailers: string[] = []
    let status = 0
    let body = ''
    let broken: string | undefined
    const stream = session.request({ ':path': path, ':method': method, ...fields }, { endStream: true })
    stream.setEncoding('latin1')
    stream.setTimeout(patienceMs, () => {
      broken = 'no response'
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('headers', (head) => void interim.push(Number(head[':status'])))
    // The fourth argument is the list as it came, which the types leave out.
    stream.on('response', (head, _flags, raw?: readonly string[]) => {
      status = Number(head[':status'])
      lines = (raw ?? []).filter((_, i) => !(raw as readonly string[])[i - (i % 2)]?.startsWith(':'))
    })
    stream.on('trailers', (_tail, _flags, raw?: readonly string[]) => {
      trailers = [...raw ?? []]
    })
    stream.on('data', (chunk: string) => {
      body += chunk
    })
    stream.on('error', (error: Error) => {
      broken = error.message
    })
    stream.on('close', () => {
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || status === 0) broken ??= `stream closed with ${stream.rstCode ?? 0}`
      resolve({ status, lines, trailers, interim, body, broken })
    })
  })
}
