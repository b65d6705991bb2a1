// The page of the admin listener: a login, then the views.
import { render, type VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ApiProblem, currentLogin, session, type Login } from './api.ts'
import { html } from './html.ts'
import { LoginForm } from './login.ts'
import { Alert } from './parts.ts'
import { useTheme } from './preferences.ts'
import { Shell } from './shell.ts'

type State = { readonly kind: 'starting'; readonly problem?: ApiProblem } | { readonly kind: 'out'; readonly ended: boolean } | { readonly kind: 'in'; readonly login: Login }

function App(): VNode {
  const [state, setState] = useState<State>({ kind: 'starting' })
  useTheme()
  useEffect(() => {
    session.ended = () => setState((before) => (before.kind === 'in' ? { kind: 'out', ended: true } : before))
    currentLogin().then(
      (login) => setState(login === undefined ? { kind: 'out', ended: false } : { kind: 'in', login }),
      (error: unknown) => setState({ kind: 'starting', problem: error instanceof ApiProblem ? error : new ApiProblem(String(error), 0) }),
    )
  }, [])
  if (state.kind === 'in') return html`<${Shell} login=${state.login} left=${() => setState({ kind: 'out', ended: false })} />`
  if (state.kind === 'out') return html`<${LoginForm} ended=${state.ended} entered=${(login: Login) => setState({ kind: 'in', login })} />`
  return html`<main class="login"><h1>Springhouse</h1>${
    state.problem === undefined ? html`<p class="quiet" role="status">Loading…</p>` : html`<${Alert} problem=${state.problem} />`
  }</main>`
}

const host = document.querySelector('#app')
if (host !== null) render(html`<${App} />`, host)
