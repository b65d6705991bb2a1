// Gives positions in compiled files as positions in their sources. Tests run without Node's own source maps, which cost each of
// them: Node reads the map of every module, and maps each stack that tap captures. Here only the output of a failed file is mapped.
import { existsSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { root } from './build.mjs'

const maps = new Map()

/** Replaces `.build/test/x.js:3:5` in stacks, and the three lines with which tap names a place, in a text; removes frames of tap. */
export function withSources(text) {
  return text
    .replaceAll(/^ +(?:\S.* \()?\.build\/node_modules\/tap\/\S+:\d+:\d+\)?\n/gm, '')
    .replaceAll(/((?:file:\/\/)?[\w./@+-]*\.build\/(?:src|test|bench)\/[\w./-]+\.js):(\d+):(\d+)/g, (given, file, line, column) => {
      const found = sourceOf(file, Number(line), Number(column))
      return found === undefined ? given : `${found.file}:${found.line}:${found.column}`
    })
    .replaceAll(/fileName: (\S*\.build\/\S+\.js)(\n +)lineNumber: (\d+)\n +columnNumber: (\d+)/g, (given, file, gap, line, column) => {
      const found = sourceOf(file, Number(line), Number(column))
      return found === undefined ? given : `fileName: ${found.file}${gap}lineNumber: ${found.line}${gap}columnNumber: ${found.column}`
    })
}

/** The source position of a compiled one; lines and columns count from 1. */
function sourceOf(file, line, column) {
  const path = resolve(root, file.replace(/^file:\/\//, ''))
  if (!maps.has(path)) maps.set(path, existsSync(`${path}.map`) ? new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8'))) : undefined)
  const entry = maps.get(path)?.findEntry(line - 1, column - 1)
  if (entry?.originalSource === undefined) return undefined
  return { file: relative(root, resolve(join(path, '..'), entry.originalSource)), line: entry.originalLine + 1, column: entry.originalColumn + 1 }
}
