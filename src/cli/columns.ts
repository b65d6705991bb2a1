// Formats text in aligned columns.

/** Formats rows as lines. Each column is as wide as its widest cell; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(printable))
  const widths: number[] = []
  for (const row of shown)
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    })
  return shown.map((row) => `${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ').trimEnd()}\n`).join('')
}

/** Makes control characters visible. Keys and tags come from clients and origins and must not control a terminal. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- replaces control characters: none may reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
