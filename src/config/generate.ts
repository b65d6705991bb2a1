// Writes the files that derive from the schema into `./config`: `npm run generate`.
import { writeFileSync } from 'node:fs'
import { editorSchema, referencePage } from './reference.ts'

writeFileSync('config/reference.md', referencePage())
writeFileSync('config/springhouse.schema.json', editorSchema())
