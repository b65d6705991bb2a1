// What grows from the schema for people: the reference in Markdown, and the JSON Schema for editors.
import { variables } from './environment.ts'
import { briefly, configNode, humanNumber, memberSchema, type PlainObject, type SchemaNode } from './node.ts'

/** The text of config/springhouse.schema.json. */
export function editorSchema(): string {
  const root = forEditors(configNode)
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Springhouse configuration',
    ...root,
    properties: { $schema: { type: 'string' }, ...(root.properties as PlainObject) },
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
  if (node.const !== undefined) return { const: node.const }
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

/** Whether a file has to name a setting: it has no default, or something within it has none. */
function mustBeGiven(node: SchemaNode): boolean {
  if (node.properties === undefined) return node.default === undefined && node.derived === undefined
  return (node.required ?? []).some((name) => mustBeGiven(node.properties?.[name] ?? {}))
}

function humanDefault(node: SchemaNode): unknown {
  return typeof node.default === 'number' ? humanNumber(node, node.default) : node.default
}

const introduction = `# Configuration reference

<!-- Made from src/config/schema.ts by \`npm run generate\`. A test fails when the two differ. -->

One file, YAML or JSON, named by \`--config\` or \`SPRINGHOUSE_CONFIG\`. Flags beat the environment, which beats the file, which beats
the defaults. \`springhouse check --print\` shows what comes of them together, and every mistake at once.

- A duration is written with its unit: \`500ms\`, \`30s\`, \`5m\`, \`1h\`, \`1d\`. Where the name ends in \`Ms\`, a bare number is milliseconds.
- A size is a number of bytes, or has a unit: \`64KiB\`, \`256MiB\`, \`1GiB\` (of 1024), \`64KB\`, \`256MB\`, \`1GB\` (of 1000).
- In a value of the file \`\${NAME}\` is replaced by that environment variable, and it is an error if the variable is not set.
  \`\${NAME:-default}\` takes the default where the variable is unset or empty; \`\${NAME:?message}\` is then an error with that message.
  The text that results means what it would mean in the environment: 8080 is a number to a port, and \`a, b\` a list to a list.
  What a variable holds is neither searched for references nor able to change the settings around it.
  - A default ends at the \`}\` that closes it. It may hold references (\`\${A:-\${B:-c}}\`) and pairs of braces, not a single brace.
  - A value with a reference needs quotes around it where YAML would need them for the quotes or backslashes within.
  - \`$$\` is a \`$\` that is meant: write \`pa$$word\` for \`pa$word\`. \`$NAME\` and any other \`\${…}\` (\`\${NAME-x}\`) are
    errors, so that no reference silently becomes a password or a token. \`springhouse check\` names the line and column.
    A \`$\` before anything else is itself (\`pa$5\`).
  - Names of settings, comments, environment variables and flags are taken as they are: nothing is replaced in them.
- Where a setting takes the word \`off\`, \`false\` is taken for it: to YAML 1.1, and many tools write that, they are the same.
- A relative path is relative to the working directory of the process.
- In the environment a list of words is a comma list, and a map or a list of maps (\`SPRINGHOUSE_ORIGINS\`) is YAML or JSON.
  A variable that is empty counts as unset. An unknown \`SPRINGHOUSE_…\` is an error, as an unknown key is.
  - What Kubernetes says of services named \`springhouse\` or \`springhouse-…\` is not meant for settings, and ignored
    (\`SPRINGHOUSE_SERVICE_HOST\`, \`SPRINGHOUSE_PORT_8080_TCP\`, \`SPRINGHOUSE_PORT=tcp://…\`). Where one has the name of a setting
    (\`SPRINGHOUSE_PROXY_PORT=tcp://…\`) the log says so; \`enableServiceLinks: false\` in the pod's spec turns them off.
  - Names that tell of the deployment are ignored as well: \`SPRINGHOUSE_VERSION\`, \`SPRINGHOUSE_IMAGE_TAG\`, and others that end in
    a word such as \`RELEASE\`, \`REVISION\`, \`COMMIT\` or \`NAMESPACE\`, unless they begin with a section (\`SPRINGHOUSE_CACHE_…\`).
- Every setting that holds a secret, such as \`redis.password\`, can be given as the path of a file that holds it: \`redis.passwordFile\`,
  or \`SPRINGHOUSE_REDIS_PASSWORD_FILE\`, as Docker and Kubernetes mount secrets. Give one of the two; the environment beats the file.
  - The file is one line of UTF-8 text of at most 64 KiB. All line breaks at its end are taken off; other spaces belong to the secret.
  - A file that cannot be read, is empty, is no plain file, or holds control characters is an error, at the start and on SIGHUP.
  - On SIGHUP all files are read again. Admin tokens change at once: the old one is refused. Connections to Redis that are made
    from then on use the new password; those that there are stay.
- \`SPRINGHOUSE_ADMIN_TOKEN\`, or the file that \`SPRINGHOUSE_ADMIN_TOKEN_FILE\` names, adds an admin token named \`env\` with every scope, unless
  \`admin.tokens\` has that token already. For the commands that ask the admin API it is the token to send, and
  \`SPRINGHOUSE_ADMIN\` is the URL to ask.
`

/** The text of config/reference.md. */
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
    // The top sections have their prose above the table.
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
