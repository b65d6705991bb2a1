// The page's address: the part after `#` names the view and its parameters, so that each view is a link that can be sent.
import { useEffect, useState } from 'preact/hooks'

export interface Address {
  readonly view: string
  readonly parameters: URLSearchParams
}

function read(): Address {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s)
  return { view: path, parameters: new URLSearchParams(query) }
}

/** Returns the link of a view. */
export function linkTo(view: string, parameters: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '')
  return `#/${view}${given.length > 0 ? `?${new URLSearchParams(given).toString()}` : ''}`
}

/** Goes to a view. `replace`: the browser's way back does not lead here. */
export function goTo(link: string, replace = false): void {
  if (!replace) location.hash = link
  else {
    history.replaceState(null, '', link)
    dispatchEvent(new HashChangeEvent('hashchange'))
  }
}

/** The current address. The component is drawn again when it changes. */
export function useAddress(): Address {
  const [address, setAddress] = useState(read)
  useEffect(() => {
    const changed = (): void => setAddress(read())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return address
}
