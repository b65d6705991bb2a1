// Every command on every page is one that there is: its syntax, the verbs and flags of springhouse, the scripts of npm, the services of compose.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { blocksOf, commandsOf, page, pages, root } from './blocks.ts'
import { argumentProblem } from './verbs.ts'

const scripts = Object.keys((JSON.parse(page('package.json')) as { scripts: Record<string, string> }).scripts)
const services = Object.keys((parse(page('docker-compose.yml'), { merge: true }) as { services: Record<string, unknown> }).services)

/** Programs that are no part of this project, and of whose arguments nothing is checked here. */
const others = new Set(['busybox', 'cd', 'chmod', 'curl', 'docker', 'export', 'git', 'go', 'install', 'kubectl', 'nginx', 'node', 'openssl', 'php', 'python3', 'sed', 'ssh', 'sudo',
  'tee', 'systemctl', 'systemd-analyze', 'useradd', 'redis-cli'])

/** Splits a command as a shell does, as far as pages need it. */
function argumentsOf(command: string): string[] {
  return [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

/** Returns what is wrong with one command. */
async function problem(command: string): Promise<string | undefined> {
  const args = argumentsOf(command.replace(/^\w+=\$(?=\()/, '').replaceAll(/^\(|\)$/g, ''))
  while (/^\w+=/.test(args[0] ?? '')) args.shift()
  if (args[0] === 'sudo') args.shift()
  // kubectl exec deployment/springhouse -- springhouse stats
  const inside = args[0] === 'kubectl' ? args.indexOf('springhouse', args.includes('--') ? args.indexOf('--') : args.length) : args.indexOf('springhouse')
  const runs = args[0] === 'docker' || args[0] === 'kubectl' || args[0] === 'npx' ? inside : inside === 0 ? 0 : -1
  if (args[0] === 'docker' && args[1] === 'compose') {
    const known = args.filter(arg => /^(?:redis|sessions|proxy(?:-a|-b)?|backend)$/.test(arg)).map(arg => arg.replace(/-[ab]$/, ''))
    if (['exec', 'logs', 'kill', 'restart'].includes(args[2] ?? '') && args.length > 3 && known.length === 0) return 'no service of docker-compose.yml is named'
    const unknown = known.find(name => !services.includes(name))
    if (unknown !== undefined) return `${unknown} is no service`
  }
  // `docker build -t springhouse .` names the image.
  if (runs >= 0 && !(args[0] === 'docker' && ['build', 'tag', 'push'].includes(args[1] ?? ''))) return argumentProblem(args.slice(runs + 1))
  if (args[0] === 'npm') {
    if (args[1] === 'ci') return undefined
    const script = args[1] === 'run' ? args.find((arg, i) => i > 1 && !arg.startsWith('-')) : args[1]
    if (!scripts.includes(script ?? '')) return `package.json has no script ${script}`
    return script === 'start' ? argumentProblem(['serve', ...args.slice(args.indexOf('--') + 1)]) : undefined
  }
  if (args[0] === 'bash' || args[0] === 'sh') return existsSync(root + args[1]) ? undefined : `${args[1]} is not there`
  if (args[0] === 'node' && args[1]?.includes('/') === true) return /^(?:dist|\.build)\//.test(args[1]) || existsSync(root + args[1]) ? undefined : `${args[1]} is not there`
  return others.has(args[0] ?? '') ? undefined : `${args[0]} is not known here`
}

t.test('every command is one that there is', async t => {
  let checked = 0
  for (const path of pages()) {
    for (const { language, text, line } of blocksOf(page(path))) {
      if (language !== 'sh') continue
      const syntax = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' })
      t.equal(syntax.stderr, '', `${path}:${line}`)
      for (const command of commandsOf(text)) {
        for (const part of command.split(/\s(?:&&|\|\|?)\s/)) {
          t.equal(await problem(part), undefined, `${path}:${line} ${part}`)
          checked++
        }
      }
    }
  }
  t.ok(checked > 40, `${checked} commands`)
})

t.test('every program in JavaScript is sound', async t => {
  for (const path of pages()) {
    for (const { language, text, line } of blocksOf(page(path))) {
      if (language !== 'js') continue
      const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--check'], { input: text, encoding: 'utf8' })
      t.equal(status, 0, `${path}:${line} ${stderr}`)
    }
  }
})

// Guard: the check itself.
t.test('a command that there is not is found', async t => {
  for (const command of ['springhouse purge --urls /a', 'npx springhouse purges', 'npm run benchmark', 'npm start -- --orgin http://a',
    'docker compose exec proxie springhouse stats', 'docker compose exec proxy springhouse stat', 'springhouse sessions forget', 'frobnicate'])
    t.ok(await problem(command), command)
})

const anchorOf = (heading: string): string => heading.trim().toLowerCase().replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')

t.test('every link leads to a file, and every anchor to a heading', async t => {
  const anchors = (path: string): Set<string> => new Set([...page(path).replaceAll(/^```[^]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading)))
  for (const path of [...pages(), 'CHANGELOG.md']) {
    const text = page(path).replaceAll(/^ *```[^]*?^ *```/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [file = '', anchor] = target.split('#')
      const name = file === '' ? path : new URL(file, `file:///${path}`).pathname.slice(1)
      if (!existsSync(root + name)) t.fail(`${path} links to ${target}`)
      else if (anchor !== undefined && name.endsWith('.md')) t.ok(anchors(name).has(anchor), `${path} links to ${target}`)
    }
  }
  t.pass()
})
