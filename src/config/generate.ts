// Writes the files that grow from the schema, in the directory `config` below the current one: `npm run generate`.
import { writeFileSync } from 'node:fs'
import { editorSchema, referencePage } from './reference.ts'

writeFileSync('config/reference.md', referencePage())
writeFileSync('config/springhouse.schema.json', editorSchema())
