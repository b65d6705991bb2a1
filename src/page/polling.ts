// Documents that the page reads again and again while it is visible, and actions that a person starts.
import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiProblem } from './api.ts'

export interface Polled<T> {
  /** The last document that was read; absent until the first. It stays while later reads fail. */
  readonly data: T | undefined
  /** Why the last read failed. */
  readonly problem: ApiProblem | undefined
}

/**
 * Reads a document now, and again `everyMs` after each read has ended. A hidden tab reads nothing, and reads at once when it is shown.
 * `key` names the document: when it changes, the old one is dropped.
 */
export function usePoll<T>(key: string, everyMs: number, read: () => Promise<T>): Polled<T> {
  const [state, setState] = useState<Polled<T> & { readonly key: string }>({ key, data: undefined, problem: undefined })
  const latest = useRef(read)
  latest.current = read

  useEffect(() => {
    let timer: number | undefined
    let reading = false
    let over = false
    const next = async (): Promise<void> => {
      clearTimeout(timer)
      if (over || reading || document.hidden) return
      reading = true
      try {
        const data = await latest.current()
        if (!over) setState({ key, data, problem: undefined })
      } catch (error) {
        const problem = error instanceof ApiProblem ? error : new ApiProblem(String(error), 0)
        if (!over) setState((before) => ({ key, data: before.key === key ? before.data : undefined, problem }))
      }
      reading = false
      if (!over) timer = setTimeout(() => void next(), everyMs)
    }
    const shown = (): void => void next()
    document.addEventListener('visibilitychange', shown)
    void next()
    return () => {
      over = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', shown)
    }
  }, [key, everyMs])

  return state.key === key ? state : { data: undefined, problem: undefined }
}

/** An action that a person starts: it runs once at a time, and its failure is shown. */
export interface Action {
  readonly busy: boolean
  readonly problem: ApiProblem | undefined
  readonly run: (work: () => Promise<void>) => void
}

export function useAction(): Action {
  const [state, setState] = useState<{ busy: boolean; problem: ApiProblem | undefined }>({ busy: false, problem: undefined })
  const running = useRef(false)
  const run = (work: () => Promise<void>): void => {
    if (running.current) return
    running.current = true
    setState({ busy: true, problem: undefined })
    const end = (problem: ApiProblem | undefined): void => {
      running.current = false
      setState({ busy: false, problem })
    }
    work().then(() => end(undefined), (error: unknown) => end(error instanceof ApiProblem ? error : new ApiProblem(String(error), 0)))
  }
  return { ...state, run }
}
