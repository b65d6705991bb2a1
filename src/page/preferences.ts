// The viewer's choices, kept in this browser: the colours, and the shortcuts. No secret is kept here.
import { useEffect, useState } from 'preact/hooks'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

function stored(name: string): string | null {
  try {
    return localStorage.getItem(`springhouse.${name}`)
  } catch {
    return null // The browser forbids storage: the defaults hold.
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`springhouse.${name}`, value)
  } catch {
    // The choice lasts until the page is closed.
  }
}

/** The colours, and a function that changes them. `system` follows the operating system. */
export function useTheme(): readonly [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState<Theme>(() => themes.find((each) => each === stored('theme')) ?? 'system')
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme
    keep('theme', theme)
    dispatchEvent(new Event('themechange'))
  }, [theme])
  return [theme, setTheme]
}

/** True while single keys are shortcuts, and a function that changes it. */
export function useShortcuts(): readonly [boolean, (on: boolean) => void] {
  const [on, setOn] = useState(() => stored('shortcuts') !== 'off')
  const change = (next: boolean): void => {
    setOn(next)
    keep('shortcuts', next ? 'on' : 'off')
  }
  return [on, change]
}
