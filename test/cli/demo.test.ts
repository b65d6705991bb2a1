// The demo, as a person would use it: started as a process, every line that it prints pasted, every promise checked.
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { script, shellLine, type Chapter, type Expectation, type KillStep, type Place, type RequestStep } from '../../src/cli/demo/script.ts'
import { endWithUs } from '../support/children.ts'

const demoModule = new URL('../../src/cli/demo.js', import.meta.url).href

interface Answer {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

interface Demo {
  readonly process: ChildProcess
  readonly place: Place
  /** All that it has printed so far. */
  printed(): string
}

/** Starts the demo and reads its addresses from its output, as a person would. */
async function startDemo(test: Test): Promise<Demo> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `import { demo } from ${JSON.stringify(demoModule)}; await demo(); process.exit()`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  endWithUs(child)
  test.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  let complained = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${printed}${complained}`)))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
      if (printed.includes('Ctrl-C stops everything.')) resolve()
    })
  })
  const found = (pattern: RegExp): string => pattern.exec(printed)?.[1] ?? test.fail(`the demo does not print ${pattern}`).toString()
  const backends = [...printed.matchAll(/^ {2}backend (\w+) {2}(\S+) +\(process (\d+)\)$/gm)].map(([, name, url, pid]) => ({ name: name as string, url: url as string,
    pid: Number(pid) })
  )
  const place = { proxyUrl: found(/^ {2}proxy +(\S+)/m), adminUrl: found(/^ {2}admin +(\S+)/m), token: found(/^ {2}token +(\S+)/m), backends, cookies: found(/curl -i -b (\S+)/) }
  return { process: child, place, printed: () => printed }
}

/** The numbered lines as they stand in the print. */
function printedLines(printed: string): string[] {
  return [...printed.matchAll(/^ +\d+\. .*\n +(.+)$/gm)].map(([, line]) => line as string)
}

/** How a step is run: by a shell and curl, or with node's own client. */
interface Runner {
  request(step: RequestStep): Promise<Answer[]>
  kill(step: KillStep): Promise<number[]>
}

function shell(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', line], { encoding: 'utf8' }, (error, stdout) => (error === null ? resolve(stdout) : reject(error)))
  })
}

const pasted: Runner = {
  request: async (step) => {
    const output = await shell(shellLine(step))
    // With several URLs curl writes one response after the other.
    return output.split(/^(?=HTTP\/1\.1 \d{3} )/m).filter((part) => part !== '').map((part) => {
      const [head = '', body = ''] = part.split(/\r\n\r\n(.*)/s)
      const [statusLine = '', ...lines] = head.split('\r\n')
      const fields = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
      return { status: Number(statusLine.split(' ')[1]), fields: Object.fromEntries(fields), body }
    })
  },
  kill: async (step) => {
    const output = await shell(shellLine(step))
    return [...output.matchAll(/^ *(\d+) (\d+)$/gm)].flatMap(([, count, status]) => Array.from({ length: Number(count) }, () => Number(status)))
  },
}

/** The cookies of curl's files, by their names: one cookie for each is enough here. */
const jars = new Map<string, string>()

function ask(step: Pick<RequestStep, 'method' | 'headers' | 'body' | 'cookies'>, url: string): Promise<Answer> {
  const { cookies: jar } = step
  const cookie = jar === undefined ? undefined : jars.get(jar)
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: step.method, headers: { ...Object.fromEntries(step.headers), ...(cookie !== undefined && { cookie }) } }, (response) => {
      let body = ''
      for (const line of response.headers['set-cookie'] ?? []) {
        if (jar === undefined) continue
        if (line.includes('Max-Age=0')) jars.delete(jar)
        else jars.set(jar, line.split(';', 1)[0] as string)
      }
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, fields: flat(response.headers), body }))
      response.on('error', reject)
    })
    sent.on('error', reject).end(step.body)
  })
}

/** The values of each field in one text. */
function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

const requested: Runner = {
  request: (step) => Promise.all(step.urls.map((url) => ask(step, url))),
  kill: async (step) => {
    const statuses: number[] = []
    for (let i = 1; i <= step.count; i++) {
      if (i === step.at) process.kill(step.pid, 'SIGKILL')
      statuses.push((await ask({ method: 'GET', headers: [] }, step.url)).status)
    }
    return statuses
  },
}

function check(test: Test, answer: Answer, expect: Expectation, before: string | undefined): void {
  test.equal(answer.status, expect.status, `answers ${expect.status}`)
  for (const [name, pattern] of Object.entries(expect.fields ?? {})) test.match(answer.fields[name] ?? '(absent)', pattern, `${name} is ${pattern}`)
  if (expect.text !== undefined) test.match(answer.body, expect.text)
  if (expect.body === 'same') test.equal(answer.body, before, 'nobody made a new one')
  if (expect.body === 'new') test.not(answer.body, before, 'it was made anew')
}

async function run(test: Test, chapters: readonly Chapter[], runner: Runner): Promise<void> {
  const lastBody = new Map<string, string>()
  for (const { title, steps } of chapters) {
    await test.test(title, async (chapter) => {
      for (const step of steps) {
        await chapter.test(step.shows, async (one) => {
          if (step.kind === 'kill') {
            const statuses = await runner.kill(step)
            one.equal(statuses.length, step.count)
            one.same(statuses.filter((status) => status !== step.status), [], 'no request is lost')
            return
          }
          const answers = await runner.request(step)
          one.equal(answers.length, step.urls.length, 'every server responds')
          for (const [index, answer] of answers.entries()) {
            const key = `${step.method} ${step.urls[index]}`
            check(one, answer, step.expect, lastBody.get(key))
            if (answer.status === 200) lastBody.set(key, answer.body)
          }
        })
      }
    })
  }
}

/** Resolves when the peer of a connection to this server has closed it. */
async function holdOn(url: string): Promise<{ gone: Promise<void> }> {
  const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {}) // a reset is as good an end as any
  return { gone: new Promise((resolve) => socket.once('close', () => resolve())) }
}

// Several processes start and stop, one backend takes two seconds: on a busy machine that adds up.
t.setTimeout(360_000)

t.test('every printed line does as its description says', async (test) => {
  const demo = await startDemo(test)
  const { place } = demo
  test.equal(place.backends.length, 2)
  const chapters = script(place)
  test.same(printedLines(demo.printed()), chapters.flatMap(({ steps }) => steps.map(shellLine)), 'the lines that are run below are those that are printed')
  await run(test, chapters, requested)
  test.match(demo.printed(), 'backend b has ended (SIGKILL)', 'a server that dies is reported')

  await test.test('the command beside them explains the URL', async (one) => {
    const line = /^ +(SPRINGHOUSE_ADMIN=.* npx springhouse .*)$/m.exec(demo.printed())?.[1] ?? ''
    // The file that npx would run here once the package is built.
    const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
    const output = await shell(line.replace('npx springhouse', `${process.execPath} ${command}`))
    one.match(output, /decision +serve\n/)
    one.match(output, /reason +fresh/)
  })
})

t.test('pasted into a shell, every printed line does as its description says', { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'there is no curl here' },
  async (test) => {
    const { place } = await startDemo(test)
    await run(test, script(place), pasted)
  })

t.test('a second demo finds ports of its own; SIGINT and SIGTERM stop everything, the servers too', async (test) => {
  const [first, second] = [await startDemo(test), await startDemo(test)]
  test.not(first.place.proxyUrl, second.place.proxyUrl)
  test.not(first.place.token, second.place.token)
  // Connections that are open and were never used, as browsers keep them in hand, must not hold up the end.
  for (const [{ process: child, place }, signal] of [[first, 'SIGINT'], [second, 'SIGTERM']] as const) {
    test.equal((await ask({ method: 'GET', headers: [] }, `${place.proxyUrl}/items`)).status, 200)
    const held = await Promise.all([place.proxyUrl, place.adminUrl, ...place.backends.map(({ url }) => url)].map(holdOn))
    child.kill(signal)
    const [code] = (await once(child, 'exit')) as [number | null]
    test.equal(code, 0, `${signal} ends it well`)
    await Promise.all(held.map(({ gone }) => gone))
  }
})

t.test('no server outlives a demo that was killed', async (test) => {
  const { process: child, place } = await startDemo(test)
  const held = await Promise.all(place.backends.map(({ url }) => holdOn(url)))
  child.kill('SIGKILL')
  await Promise.all(held.map(({ gone }) => gone))
  test.pass('both have ended')
})
