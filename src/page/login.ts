// The login by token.
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { logIn, type Login } from './api.ts'
import { html } from './html.ts'
import { Alert, typed } from './parts.ts'
import { useAction } from './polling.ts'

export function LoginForm({ entered, ended }: { readonly entered: (login: Login) => void; readonly ended: boolean }): VNode {
  const [token, setToken] = useState('')
  const { busy, problem, run } = useAction()
  const submit = (event: Event): void => {
    event.preventDefault()
    run(async () => {
      const given = token
      // The token leaves the page's memory and form with this request, whatever comes back.
      setToken('')
      entered(await logIn(given))
    })
  }
  return html`<main id="content" class="login">
    <h1>Springhouse</h1>
    <form onSubmit=${submit}>
      ${ended && html`<p role="status">The login has ended. Log in again to go on where you were.</p>`}
      <label>Admin token <input type="password" required autofocus autocomplete="current-password" spellcheck=${false} value=${token} onInput=${typed(setToken)} /></label>
      <button class="main" disabled=${busy}>Log in</button>
      <${Alert} problem=${problem} />
      <p class="quiet">
        The tokens are in the configuration, under <code>admin.tokens</code>. This browser keeps a cookie for as long as${' '}
        <code>admin.sessionTtl</code> says, and never the token.
      </p>
    </form>
  </main>`
}
