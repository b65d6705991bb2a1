// The frame around a view: the state of the whole, navigation, the scope, the viewer's choices, and help.
import type { VNode } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { linkTo, useAddress } from './address.ts'
import { get, logOut, type Login } from './api.ts'
import { html } from './html.ts'
import { Choice } from './parts.ts'
import { usePoll } from './polling.ts'
import { themes, useShortcuts, useTheme, type Theme } from './preferences.ts'
import type { OriginRow, ReplicaRow, Scope, Stats } from './shapes.ts'
import { useKeys, views } from './shortcuts.ts'
import { needsOf, type Health } from './views/needs.ts'
import { Config } from './views/config.ts'
import { Entries } from './views/entries.ts'
import { Explain } from './views/explain.ts'
import { Fleet } from './views/fleet.ts'
import { Overview } from './views/overview.ts'
import { Purge } from './views/purge.ts'
import { Reference } from './views/reference.ts'
import { Routes } from './views/routes.ts'
import { Traffic } from './views/traffic.ts'
import { count } from './words.ts'

/** Reads what every view needs. @throws ApiProblem */
async function readHealth(scope: Scope): Promise<Health> {
  const [stats, { origins }, { replicas }] = await Promise.all([
    get<Stats>('/v1/stats', { scope }),
    get<{ origins: OriginRow[] }>('/v1/origins'),
    get<{ replicas: ReplicaRow[] }>('/v1/replicas'),
  ])
  return { stats, origins, replicas }
}

/** At most this often is the state of the whole spoken by a screen reader. */
const speakEveryMs = 5_000

/** The text, renewed at most every `speakEveryMs`. */
function useCalm(text: string): string {
  const [calm, setCalm] = useState(text)
  const spoken = useRef(0)
  useEffect(() => {
    if (text === calm) return undefined
    const timer = setTimeout(() => {
      spoken.current = performance.now()
      setCalm(text)
    }, Math.max(0, spoken.current + speakEveryMs - performance.now()))
    return () => clearTimeout(timer)
  }, [text, calm])
  return calm
}

function Help(
  { open, close, shortcuts, setShortcuts }: { readonly open: boolean; readonly close: () => void; readonly shortcuts: boolean; readonly setShortcuts: (on: boolean) => void },
): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  return html`<dialog ref=${dialog} aria-labelledby="help-title" onClose=${close}>
    <h2 id="help-title">Keys</h2>
    <dl class="keys"><dt><kbd>/</kbd></dt><dd>explain a URL</dd><dt><kbd>?</kbd></dt><dd>this help</dd>${
    views.map(([, name, letter]) => html`<dt><kbd>g</kbd> <kbd>${letter}</kbd></dt><dd>${name}</dd>`)
  }</dl>
    <label class="check"><input type="checkbox" checked=${shortcuts} onChange=${(event: Event) =>
    setShortcuts((event.currentTarget as HTMLInputElement).checked)} /> Single keys are shortcuts</label>
    <button type="button" class="main" onClick=${close}>Close</button>
  </dialog>`
}

const nothing: Health = { stats: undefined, origins: [], replicas: [] }

export function Shell({ login, left }: { readonly login: Login; readonly left: () => void }): VNode {
  const { view, parameters } = useAddress()
  const [scope, setScope] = useState<Scope>('fleet')
  const [theme, setTheme] = useTheme()
  const [shortcuts, setShortcuts] = useShortcuts()
  const [help, setHelp] = useState(false)
  const [menu, setMenu] = useState(false)
  const openHelp = useCallback(() => setHelp(true), [])
  useKeys(shortcuts && !help, openHelp)
  const { data: health = nothing, problem } = usePoll(`health ${scope}`, 2_000, () => readHealth(scope))
  const needs = needsOf(health)
  const urgent = needs.filter(({ kind }) => kind === 'danger').length
  const live = health.stats?.replicas?.live ?? health.replicas.length
  const state = problem?.status === 0
    ? 'connection lost; trying again'
    : health.stats === undefined
    ? 'loading'
    : `${urgent === 0 ? 'all well' : `${urgent} need${urgent === 1 ? 's' : ''} you`} · ${count(live)} replica${live === 1 ? '' : 's'}`
  const current = views.find(([name]) => name === view)?.[0] ?? 'overview'
  const title = views.find(([name]) => name === current)?.[1] ?? ''

  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  useEffect(() => {
    document.title = `${title} · Springhouse`
    setMenu(false)
    // A new view begins where its heading is, for keyboards and screen readers too.
    if (!first.current) main.current?.focus()
    first.current = false
  }, [current])
  const leave = (): void => void logOut().then(left, left)

  return html`
    <a class="skip" href="#content" onClick=${(event: Event) => {
    event.preventDefault()
    main.current?.focus()
  }}>Skip to the content</a>
    <header>
      <a class="brand" href=${linkTo('overview')}>Springhouse</a>
      <p class="state ${problem?.status === 0 ? 'lost' : urgent > 0 ? 'danger' : 'well'}"><span aria-hidden="true">${
    problem?.status === 0 ? '◌' : urgent > 0 ? '⚠' : '●'
  }</span> ${state}</p>
      <p class="unseen" role="status">${useCalm(state)}</p>
      <button type="button" class="menu" aria-expanded=${menu ? 'true' : 'false'} aria-controls="views" onClick=${() => setMenu(!menu)}>Menu</button>
      <nav id="views" class=${menu ? 'open' : ''} aria-label="Views"><ul>${
    views.map(([name, text]) => html`<li><a href=${linkTo(name)} aria-current=${name === current ? 'page' : undefined}>${text}</a></li>`)
  }</ul></nav>
      <details class="account"><summary>${login.name}</summary><div>
        <p class="quiet">Scopes: ${login.scopes.join(', ')}</p>
        <${Choice} label="Colours" value=${theme} onChange=${(value: Theme) => setTheme(value)} options=${themes.map((each) => [each, each])} />
        <button type="button" onClick=${openHelp}>Keys</button>
        <button type="button" onClick=${leave}>Log out</button>
      </div></details>
    </header>
    ${problem?.status === 0 && html`<div class="alert banner" role="alert">The connection to the admin listener is lost. The numbers below are old. The page tries again.</div>`}
    <main id="content" ref=${main} tabindex="-1">
      ${
    ['overview', 'routes', 'traffic'].includes(current) && html`<div class="scope"><${Choice} label="Numbers of" value=${scope} onChange=${(value: Scope) =>
      setScope(value)} options=${[['fleet', 'fleet'], ['replica', 'this replica']]} /></div>`
  }
      ${
    {
      overview: () => html`<${Overview} scope=${scope} health=${health} />`,
      routes: () => html`<${Routes} scope=${scope} parameters=${parameters} />`,
      explain: () => html`<${Explain} parameters=${parameters} scopes=${login.scopes} />`,
      purge: () => html`<${Purge} parameters=${parameters} scopes=${login.scopes} />`,
      traffic: () => html`<${Traffic} scope=${scope} parameters=${parameters} />`,
      entries: () => html`<${Entries} parameters=${parameters} scopes=${login.scopes} />`,
      fleet: () => html`<${Fleet} health=${health} parameters=${parameters} />`,
      api: () => html`<${Reference} />`,
      config: () => html`<${Config} health=${health} />`,
    }[current]()
  }
    </main>
    <footer><p class="quiet">Springhouse ${health.stats?.version ?? ''}${
    health.stats !== undefined && health.stats.scope !== scope ? ' · there is no fleet: these are the numbers of this replica' : ''
  }</p></footer>
    <${Help} open=${help} close=${() => setHelp(false)} shortcuts=${shortcuts} setShortcuts=${setShortcuts} />`
}
