// Keys of the page: `/` for a URL to explain, `?` for help, `g` and a letter for a view.
import { useEffect } from 'preact/hooks'
import { goTo, linkTo } from './address.ts'

/** The views, in the order of the navigation, with the letter that follows `g`. */
export const views = [
  ['overview', 'Overview', 'o'],
  ['routes', 'Routes', 'r'],
  ['explain', 'Explain', 'x'],
  ['purge', 'Purge', 'p'],
  ['traffic', 'Traffic', 't'],
  ['entries', 'Entries', 'e'],
  ['fleet', 'Fleet', 'f'],
  ['config', 'Config', 'c'],
  ['api', 'API', 'a'],
] as const

/** How long the letter after `g` may take. */
const chordMs = 1_500

/** Listens for the keys while `on`. Keys that are typed into a field are the field's. */
export function useKeys(on: boolean, help: () => void): void {
  useEffect(() => {
    if (!on) return undefined
    let goUntil = 0
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.target instanceof Element && event.target.closest('input, textarea, select') !== null)) return
      const going = event.timeStamp < goUntil
      goUntil = 0
      const view = going ? views.find(([, , letter]) => letter === event.key) : undefined
      if (view !== undefined) goTo(linkTo(view[0]))
      else if (event.key === 'g') goUntil = event.timeStamp + chordMs
      else if (event.key === '?') help()
      else if (event.key === '/') {
        goTo(linkTo('explain'))
        // The view is drawn first.
        setTimeout(() => document.querySelector<HTMLInputElement>('#explain-url')?.focus(), 50)
      } else return
      event.preventDefault()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [on, help])
}
