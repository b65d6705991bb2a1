// Generates the Markdown reference and the JSON Schema for editors from the schema.
import { variables } from './environment.ts'
import { briefly, configNode, humanNumber, memberSchema, type PlainObject, type SchemaNode } from './node.ts'

/** Returns the text of config/springhouse.schema.json. */
export function editorSchema(): string {
  const root = forEditors(configNode)
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Springhouse configuration',
    ...root,
    properties: { $schema: { type: 'string' }, ...(root.properties as PlainObject) },
    patternProperties: { '^x-': { description: 'Not read: a place for YAML anchors.' } },
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

const reference = { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*(:[-?].*)?\\}' }
const durationText = { type: 'string', pattern: '^(0|[0-9]{1,15} ?(ms|s|m|h|d))$' }
const sizeText = { type: 'string', pattern: '^[0-9]{1,15}( ?([KMG][iI]?)?[bB])?$' }

function forEditors(node: SchemaNode): PlainObject {
  const about = {
    ...(node.description !== undefined && node.description !== '' && { description: node.description }),
    ...(node.default !== undefined && { default: humanDefault(node) }),
  }
  if (node.type === 'integer' || node.type === 'boolean') {
    const bounds = { ...(node.minimum !== undefined && { minimum: node.minimum }), ...(node.maximum !== undefined && { maximum: node.maximum }) }
    const bare = { type: node.type, ...bounds }
    if (node.unit === 'duration') return { ...about, anyOf: [durationText, { const: 0 }, reference] }
    if (node.unit === 'ms') return { ...about, anyOf: [bare, durationText, reference] }
    if (node.unit === 'bytes') return { ...about, anyOf: [bare, sizeText, reference] }
    return { ...about, anyOf: [bare, reference] }
  }
  if (node.enum !== undefined) return { ...about, anyOf: [{ enum: node.enum.includes('off') ? [...node.enum, false] : node.enum }, reference] }
  if (node.const !== undefined) return node.const === 'off' ? { enum: ['off', false] } : { const: node.const }
  if (node.anyOf !== undefined) return { ...about, anyOf: node.anyOf.map(forEditors) }
  if (node.type === 'array') {
    return { ...about, type: 'array', items: forEditors(node.items ?? {}), ...(node.minItems !== undefined && { minItems: node.minItems }) }
  }
  if (node.patternProperties !== undefined) {
    return { ...about, type: 'object', patternProperties: mapValues(node.patternProperties, forEditors), additionalProperties: false }
  }
  if (node.properties === undefined) return { ...about, type: 'string' }
  const required = (node.required ?? []).filter((name) => mustBeGiven(node.properties?.[name] ?? {}))
  const { properties } = node
  const inFile = required.filter((name) => properties[`${name}File`]?.fileOf === name)
  const itself = required.filter((name) => !inFile.includes(name))
  return {
    ...about,
    type: 'object',
    properties: mapValues(properties, forEditors),
    ...(itself.length > 0 && { required: itself }),
    ...(inFile.length > 0 && { allOf: inFile.map((name) => ({ oneOf: [{ required: [name] }, { required: [`${name}File`] }] })) }),
    additionalProperties: false,
  }
}

/** Returns whether a file must give a setting: it, or a setting within it, has no default. */
function mustBeGiven(node: SchemaNode): boolean {
  if (node.properties === undefined) return node.default === undefined && node.derived === undefined
  return (node.required ?? []).some((name) => mustBeGiven(node.properties?.[name] ?? {}))
}

function humanDefault(node: SchemaNode): unknown {
  return typeof node.default === 'number' ? humanNumber(node, node.default) : node.default
}

const introduction = `# Configuration reference

<!-- Made from src/config/schema.ts by \`npm run generate\`. A test fails when the two differ. -->

The configuration is one file, YAML or JSON, named by \`--config\` or \`SPRINGHOUSE_CONFIG\`. Flags beat the environment, the
environment beats the file, and the file beats the defaults. \`springhouse check --print\` shows the result, or every problem at
once.

- A duration has a unit: \`500ms\`, \`30s\`, \`5m\`, \`1h\`, \`1d\`. If the name ends in \`Ms\`, a bare number is milliseconds.
- A size is a number of bytes, or has a unit: \`64KiB\`, \`256MiB\`, \`1GiB\` (of 1024), \`64KB\`, \`256MB\`, \`1GB\` (of 1000).
- In a value of the file, \`\${NAME}\` is replaced by that environment variable. If the variable is not set, that is an error.
  If the variable is unset or empty, \`\${NAME:-default}\` gives the default, and \`\${NAME:?message}\` is an error with that message.
  The resulting text is read as in the environment: for a port, 8080 is a number; for a list, \`a, b\` is a list.
  The content of a variable is not searched for references and cannot change the settings around it.
  - A default ends at the \`}\` that closes it. It may hold references (\`\${A:-\${B:-c}}\`) and pairs of braces, not a single brace.
  - If a reference contains quotes or backslashes, put the whole value in quotes as YAML requires.
  - \`$$\` is a literal \`$\`: write \`pa$$word\` for \`pa$word\`. \`$NAME\` and any other \`\${…}\` (\`\${NAME-x}\`) are
    errors, so that no reference silently becomes a password or a token. \`springhouse check\` names the line and column.
    A \`$\` before anything else is itself (\`pa$5\`).
  - Names of settings, comments, environment variables and flags are taken as they are: nothing is replaced in them.
- Where a setting takes the value \`off\`, \`false\` is taken for it: to YAML 1.1, and many tools write that, they are the same.
- A relative path is relative to the working directory of the process.
- In the environment, a list of plain values is a comma list, and a map or a list of maps (\`SPRINGHOUSE_ORIGINS\`) is YAML or JSON.
  An empty variable counts as unset. An unknown \`SPRINGHOUSE_…\` is an error, as is an unknown key.
  - Kubernetes service links for services named \`springhouse\` or \`springhouse-…\` are ignored
    (\`SPRINGHOUSE_SERVICE_HOST\`, \`SPRINGHOUSE_PORT_8080_TCP\`, \`SPRINGHOUSE_PORT=tcp://…\`). If one has the name of a setting
    (\`SPRINGHOUSE_PROXY_PORT=tcp://…\`), a log line says so; \`enableServiceLinks: false\` in the pod's spec turns them off.
  - Names that describe the deployment are ignored too: \`SPRINGHOUSE_VERSION\`, \`SPRINGHOUSE_IMAGE_TAG\`, and others that end in
    a name such as \`RELEASE\`, \`REVISION\`, \`COMMIT\` or \`NAMESPACE\`, unless they begin with a section (\`SPRINGHOUSE_CACHE_…\`).
- Every secret setting, such as \`redis.password\`, can come from a file: give the file's path in \`redis.passwordFile\` or
  \`SPRINGHOUSE_REDIS_PASSWORD_FILE\`. Docker and Kubernetes mount secrets as such files. Give one of the two; the environment
  beats the file.
  - The secret file is one line of UTF-8 text of at most 64 KiB. All line breaks at its end are removed; other spaces belong to the
    secret.
  - A secret file that cannot be read, is empty, is not a plain file, or holds control characters is an error, at the start and on
    SIGHUP.
  - On SIGHUP all secret files are read again. Admin tokens change at once: the old token is refused. New connections to Redis
    use the new password; existing connections stay open.
- \`SPRINGHOUSE_ADMIN_TOKEN\`, or the file that \`SPRINGHOUSE_ADMIN_TOKEN_FILE\` names, adds an admin token named \`env\` with every scope,
  unless \`admin.tokens\` already has that token. The admin commands send this token, to the URL in \`SPRINGHOUSE_ADMIN\`.
`

/** Returns the text of config/reference.md. */
export function referencePage(): string {
  const sections = Object.entries(configNode.properties ?? {}).map(([name, node]) => {
    const prose = node.properties === undefined ? '' : `${node.description ?? ''}\n\n`
    const optional = configNode.required?.includes(name) === true ? '' : ' (optional)'
    return `## ${name}${optional}\n\n${prose}${table(rows(node, name, true))}`
  })
  return `${introduction}\n${sections.join('\n')}`
}

interface Row {
  readonly key: string
  readonly cells: readonly [type: string, fallback: string, variable: string, prose: string]
}

function rows(node: SchemaNode, path: string, required: boolean): Row[] {
  const name = variables.find((variable) => variable.path === path)?.name
  const variable = name === undefined ? '' : code(name)
  const prose = node.description ?? ''
  if (node.properties !== undefined) {
    const children = Object.entries(node.properties).flatMap(([key, member]) => rows(member, `${path}.${key}`, node.required?.includes(key) === true))
    // The prose of a top-level section is above its table.
    return path.includes('.') ? [{ key: path, cells: ['', required ? '' : 'left out', '', prose] }, ...children] : children
  }
  const own: Row = { key: path, cells: [briefly(node), fallback(node, required), variable, prose] }
  const members = memberSchema(node)
  if (members?.properties !== undefined) return [own, ...within(members, `${path}.<name>`)]
  if (node.items?.properties !== undefined) return [own, ...within(node.items, `${path}[]`)]
  return [own]
}

function within(node: SchemaNode, path: string): Row[] {
  return rows(node, path, true).filter(({ key }) => key !== path)
}

function fallback(node: SchemaNode, required: boolean): string {
  if (node.derived !== undefined) return node.derived.prose
  if (node.default === undefined) return required ? '**required**' : 'left out'
  const value = humanDefault(node)
  return code(typeof value === 'string' ? value : JSON.stringify(value))
}

function table(lines: readonly Row[]): string {
  const head = '| Setting | What it takes | Default | Environment | |\n|---|---|---|---|---|\n'
  return head + lines.map(({ key, cells }) => `| ${[code(key), ...cells.map((cell) => cell.replaceAll('|', '\\|'))].join(' | ')} |\n`).join('')
}

function code(text: string): string {
  return `\`${text}\``
}

function mapValues(values: Readonly<Record<string, SchemaNode>>, map: (node: SchemaNode) => PlainObject): PlainObject {
  return Object.fromEntries(Object.entries(values).map(([name, node]) => [name, map(node)]))
}
