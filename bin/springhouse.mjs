#!/usr/bin/env node
// The command. A published package brings the program compiled; a clone compiles it at the first use.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const program = new URL('../dist/cli/main.js', import.meta.url)
if (!existsSync(program)) {
  const builder = new URL('../tools/build.mjs', import.meta.url)
  const compiler = new URL('../node_modules/typescript/package.json', import.meta.url)
  if (!existsSync(builder) || !existsSync(compiler)) {
    process.stderr.write(`springhouse: not built; run \`npm ci && npm run build\` in ${fileURLToPath(new URL('..', import.meta.url))}\n`)
    process.exit(1)
  }
  process.stderr.write('springhouse: compiling, at the first use only\n')
  const { build } = await import(builder.href)
  if (!build('dist')) process.exit(1)
}
await import(program.href)
