// The output of commands: one JSON document or readable text, with colours on a terminal alone.
import type { CommandFailure } from './failure.ts'

/** True if people read the output: then there may be colours, and lines that change. */
export function onTerminal(): boolean {
  return process.stdout.isTTY
}

let printed = false

/** Prints the only document of a command. */
export function printJson(body: unknown): void {
  printed = true
  process.stdout.write(`${JSON.stringify(body, null, 2)}\n`)
}

/** Prints a document that is text already: parsed, its big integers would be rounded. */
export function printJsonText(text: string): void {
  printed = true
  process.stdout.write(`${text}\n`)
}

/** Prints one document of a stream, in a line of its own. */
export function printJsonLine(body: unknown): void {
  process.stdout.write(`${JSON.stringify(body)}\n`)
}

/** Prints a failure as JSON, unless the command has printed its document. A stream gets it as its last line. */
export function printJsonFailure({ lines, exitCode, body }: CommandFailure, isStream: boolean): void {
  if (printed) return
  const document = body ?? { type: 'about:blank', title: lines.join('\n'), exitCode }
  if (isStream) printJsonLine(document)
  else printJson(document)
}

const formats = { bold: [1, 22], quiet: [2, 22], good: [32, 39], bad: [31, 39] } as const

/** Returns text in a format, if the output is a terminal and NO_COLOR is not set (no-color.org). */
export function painted(format: keyof typeof formats, text: string): string {
  if (!onTerminal() || (process.env.NO_COLOR ?? '') !== '') return text
  const [begin, end] = formats[format]
  return `\u001b[${begin}m${text}\u001b[${end}m`
}
