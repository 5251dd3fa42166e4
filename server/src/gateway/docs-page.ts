// The reference as pages to read, made from the table: no script, nothing from elsewhere, and legible by day and by night.
import { hash } from 'node:crypto'
import { problems, rejectionCodes, type Operation, type RejectionCode } from '@holdfast/contract'
import { exampleBody, exampleOf } from './example.ts'
import { codesOf, farewellOf, neededWords, operationId, problemExample, tagOf, tagTexts } from './openapi.ts'
import { pageHeaders } from './security-headers.ts'

export type Page = {
  readonly path: string
  /** Made when it is first read. */
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
}

export const docsPages = (operations: readonly Operation[]): readonly Page[] => [
  page('/docs', 'Holdfast API', () => reference(operations)),
  ...rejectionCodes.map((code) => page(`/docs/problems/${code}`, problems[code].title, () => problemText(code, operations))),
]

// Written like this so that no text of the contract can become markup by mistake: only html`` makes markup, and it escapes.
type Html = { readonly html: string }
const html = (parts: TemplateStringsArray, ...values: readonly (string | number | Html | readonly Html[])[]): Html => ({
  html: parts.map((part, index) => part + markup(values[index] ?? '')).join(''),
})
const markup = (value: string | number | Html | readonly Html[]): string => {
  if (typeof value === 'object') return 'html' in value ? value.html : value.map((each) => each.html).join('')
  return String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const page = (path: string, title: string, body: () => Html): Page => {
  let made: string | undefined
  return {
    path,
    get html() {
      return (made ??= whole(path === '/docs' ? title : `${title} · Holdfast API`, body()))
    },
    headers: pageHeaders({ style: hash('sha256', STYLE, 'base64') }),
  }
}

// The style stands in it to the letter: the header allows just that text, by its digest.
const whole = (title: string, body: Html): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        ${{ html: `<style>${STYLE}</style>` }}
      </head>
      <body>
        ${body}
      </body>
    </html> `.html

const reference = (operations: readonly Operation[]): Html => {
  const tags = [...new Set(operations.map(tagOf))]
  const ofTag = (tag: string) => operations.filter((operation) => tagOf(operation) === tag)
  return html`<a class="skip" href="#main">To the operations</a>
    <div class="frame">
      <nav aria-label="Operations">
        <p class="brand"><a href="/docs">Holdfast API</a></p>
        <ul>
          <li><a href="#start">Beginning</a></li>
          <li><a href="#every">Every request</a></li>
          <li><a href="#problems">Problems</a></li>
        </ul>
        ${tags.map(
          (tag) =>
            html`<h2><a href="#${tag}">${words(tag)}</a></h2>
              <ul>
                ${ofTag(tag).map(
                  (operation) =>
                    html`<li>
                      <a href="#${operationId(operation)}"
                        ><span class="method ${operation.method.toLowerCase()}">${operation.method}</span> ${operation.summary}</a
                      >
                    </li>`,
                )}
              </ul> `,
        )}
      </nav>
      <main id="main">
        <h1>Holdfast API</h1>
        <p class="lead">
          Holdfast counts stock and promises it to buyers without ever promising a unit twice. Hold stock while a buyer pays, then execute the hold or release
          it.
        </p>
        <p>This page is a reference. The same as a document for programs: <a href="/openapi.json">OpenAPI 3.1</a>.</p>
        ${beginning} ${everyRequest}
        ${tags.map(
          (tag) =>
            html`<section aria-labelledby="${tag}">
              <h2 id="${tag}">${words(tag)}</h2>
              <p>${tagTexts[tag] ?? ''}</p>
              ${ofTag(tag).map(operationText)}
            </section> `,
        )}
        <section aria-labelledby="problems">
          <h2 id="problems">Problems</h2>
          <p>Every refusal has the same shape (RFC 9457) and a code from this closed list. Retryable means: the same request may succeed later.</p>
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <th scope="col">Code</th>
                  <th scope="col">Status</th>
                  <th scope="col">Retryable</th>
                  <th scope="col">Meaning</th>
                </tr>
              </thead>
              <tbody>
                ${rejectionCodes.map(
                  (code) =>
                    html`<tr>
                      <td>${codeLink(code)}</td>
                      <td>${problems[code].status}</td>
                      <td>${problems[code].retryable ? 'yes' : 'no'}</td>
                      <td>${problems[code].title}</td>
                    </tr> `,
                )}
              </tbody>
            </table>
          </div>
        </section>
      </main>
    </div>`
}

const beginning: Html = html`<section aria-labelledby="start">
  <h2 id="start">Beginning</h2>
  <p>Holdfast prints an API key when it starts for the first time. Put it into the environment, and every example on this page can be pasted:</p>
  <pre tabindex="0"><code>export HOLDFAST_API_KEY=hf_…
export HOLDFAST_URL=http://127.0.0.1:4000</code></pre>
</section>`

const everyRequest: Html = html`<section aria-labelledby="every">
  <h2 id="every">Every request</h2>
  <div class="wide">
    <table>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">How</th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">Who</th>
          <td><code>Authorization: Bearer hf_…</code>, a key with the scope of the operation; or, for people, the cookie that signing in sets.</td>
        </tr>
        <tr>
          <th scope="row">Again</th>
          <td>
            <code>Idempotency-Key</code>, 1 to 255 printable ASCII characters: required where stock moves, honoured on every POST. The same key with the same
            request gets the same answer, with <code>Idempotent-Replayed: true</code>.
          </td>
        </tr>
        <tr>
          <th scope="row">Trace</th>
          <td>
            <code>Request-Id</code> is in every answer, every problem and the log. Yours is taken when it has 8 to 128 letters, digits or <code>_ . -</code>
          </td>
        </tr>
        <tr>
          <th scope="row">Fresh</th>
          <td>Answers about stock carry <code>Stock-Sequence</code>. Sent back as <code>min_sequence</code>, a read is at least that new.</td>
        </tr>
        <tr>
          <th scope="row">Try out</th>
          <td><code>?dry_run=true</code> where stock moves: decides and answers, and changes nothing.</td>
        </tr>
        <tr>
          <th scope="row">Lists</th>
          <td><code>limit</code> (1 to 100) and <code>starting_after</code> (an id, or the <code>next_cursor</code> of the page before).</td>
        </tr>
        <tr>
          <th scope="row">Exports</th>
          <td>
            <code>format=csv</code> or <code>ndjson</code> on a list, or <code>Accept: text/csv</code> or <code>application/x-ndjson</code>: the whole list in
            one answer. One that is cut before its end is not whole; ask again.
          </td>
        </tr>
        <tr>
          <th scope="row">Limits</th>
          <td>
            <code>RateLimit-Policy</code> says how many requests there may be in how many seconds, <code>RateLimit</code> how many are left. Beyond that: 429,
            and <code>Retry-After</code>.
          </td>
        </tr>
        <tr>
          <th scope="row">Bodies</th>
          <td>JSON of at most 1 MiB and 2,000 lines. Unknown fields are refused; numbers are whole and written without exponent.</td>
        </tr>
      </tbody>
    </table>
  </div>
</section>`

const operationText = (operation: Operation): Html =>
  html`<article aria-labelledby="${operationId(operation)}">
    <h3 id="${operationId(operation)}">${operation.summary}</h3>
    <p class="path"><span class="method ${operation.method.toLowerCase()}">${operation.method}</span> <code>${operation.path}</code></p>
    ${operation.deprecated === undefined ? html`` : html`<p class="farewell"><strong>${farewellOf(operation)}</strong></p> `}
    <p>
      ${neededBy(operation)}${operation.movesStock ? ' Moves stock: needs an Idempotency-Key.' : ''}${operation.streams ? ' Answers server-sent events until the reader leaves.' : ''}${operation.bodyTypes === undefined ? '' : ` The body is a file, ${operation.bodyTypes.join(' or ')}, in UTF-8.`}
    </p>
    ${fieldTable('In the path', fieldsOf(operation.input.params), true)}${fieldTable('In the query', fieldsOf(operation.input.query), true)}${fieldTable('In the body', fieldsOf(operation.input.body), true)}
    <pre tabindex="0"><code>${curlOf(operation)}</code></pre>
    <details>
      <summary>Answer: ${operation.status}</summary>
      ${fieldTable('Fields of the answer', fieldsOf(operation.output), false)}
      <pre tabindex="0"><code>${JSON.stringify(exampleOf(operation.output), null, 2)}</code></pre>
    </details>
    <p class="codes">Problems: ${codesOf(operation).map((code) => html`${codeLink(code)} `)}</p>
  </article> `

const codeLink = (code: RejectionCode): Html => html`<a href="/docs/problems/${code}"><code>${code}</code></a>`

const neededBy = ({ scope }: Operation) => {
  const needed = neededWords[scope]
  return needed === undefined ? html`Needs the scope <code>${scope}</code>.` : html`${needed}`
}

/** A command that can be pasted once HOLDFAST_URL and HOLDFAST_API_KEY are set. */
export const curlOf = (operation: Operation): string => {
  const { method, path, input, movesStock, streams } = operation
  const sample = exampleOf(input.params ?? {}) as Readonly<Record<string, unknown>> // parameters are a record
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(sample[name])))
  const body = exampleBody(operation)
  const flags = [streams ? '-N' : '-s', ...(method === 'GET' || (method === 'POST' && body !== undefined) ? [] : [`-X ${method}`])].join(' ')
  const lines = [`curl ${flags} "$HOLDFAST_URL${address}"`, ...credentials(operation)]
  if (movesStock) lines.push('-H "Idempotency-Key: $(date +%s%N)"')
  if (operation.bodyTypes !== undefined) lines.push(`-H "Content-Type: ${operation.bodyTypes[0]}"`, '-T items.csv')
  if (body !== undefined) lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(body).replaceAll("'", String.raw`'\''`)}'`)
  return lines.join(' \\\n  ')
}

/** Signing in keeps the cookie in a file, from which people ask: as a browser would, from a page of the server. */
const credentials = ({ scope, method }: Operation): readonly string[] => {
  if (scope === 'anyone') return ['-c holdfast.cookies']
  if (scope !== 'person') return ['-H "Authorization: Bearer $HOLDFAST_API_KEY"']
  return ['-b holdfast.cookies -c holdfast.cookies', ...(method === 'GET' ? [] : ['-H "Origin: $HOLDFAST_URL"'])]
}

type Field = { readonly name: string; readonly type: string; readonly required: boolean; readonly notes: readonly string[] }
type Schema = Readonly<Record<string, unknown>>

/** Every field of a schema in one list: `lines[].quantity` stands below `lines`. */
const fieldsOf = (schema: unknown, above = ''): readonly Field[] => {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties, required } = schema as Schema // JSON schema's own words
  const wanted = Array.isArray(required) ? required : []
  return Object.entries((properties ?? {}) as Schema).flatMap(([name, property]) => {
    // JSON schema's own word
    const field = { name: `${above}${name}`, type: typeOf(property), required: wanted.includes(name), notes: notesOf(property) }
    return [field, ...fieldsOf(withoutNull(property), `${above}${name}.`), ...fieldsOf(itemsOf(property), `${above}${name}[].`)]
  })
}

const branchesOf = (schema: unknown): readonly unknown[] =>
  typeof schema === 'object' && schema !== null && 'anyOf' in schema && Array.isArray(schema.anyOf) ? schema.anyOf : [schema]
const isNull = (schema: unknown): boolean => typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'null'
const withoutNull = (schema: unknown): Schema => (branchesOf(schema).find((branch) => !isNull(branch)) ?? {}) as Schema // a schema is a record
const itemsOf = (schema: unknown): unknown => withoutNull(schema)['items']

const typeOf = (schema: unknown): string =>
  [
    ...new Set(
      branchesOf(schema).map((branch) => {
        const { type, format, items, patternProperties } = branch as Schema // a schema is a record
        if (format === 'date-time') return 'instant'
        if (type === 'array') return `list of ${typeOf(items)}s`
        if (type === 'object' && patternProperties !== undefined) return 'object of strings'
        return typeof type === 'string' ? type : 'anything'
      }),
    ),
  ].join(' or ')

const notesOf = (schema: unknown): readonly string[] => {
  const {
    description,
    enum: listed,
    const: constant,
    minimum,
    maximum,
    minLength,
    maxLength,
    minItems,
    maxItems,
    maxProperties,
    default: otherwise,
  } = { ...withoutNull(schema), ...(schema as Schema) } // a schema is a record
  const range = (least: unknown, most: unknown, of: string) =>
    least !== undefined && most !== undefined
      ? `${format(least)} to ${format(most)}${of}`
      : most !== undefined
        ? `at most ${format(most)}${of}`
        : least !== undefined && least !== 0
          ? `at least ${format(least)}${of}`
          : ''
  return [
    constant === undefined ? '' : `always ${textOf(constant)}`,
    Array.isArray(listed) ? `one of ${listed.join(', ')}` : '',
    range(minimum, maximum, ''),
    range(minLength, maxLength, ' characters'),
    range(minItems, maxItems, ' entries'),
    range(undefined, maxProperties, ' fields'),
    otherwise === undefined ? '' : `default ${textOf(otherwise)}`,
    typeof description === 'string' ? description : '',
  ].filter((note) => note !== '')
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
const format = (value: unknown): string => (typeof value === 'number' ? value.toLocaleString('en-GB') : textOf(value))

const fieldTable = (caption: string, fields: readonly Field[], asked: boolean): Html =>
  fields.length === 0
    ? html``
    : html`<div class="wide">
        <table>
          <caption>
            ${caption}
          </caption>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Type</th>
              <th scope="col">${asked ? 'Needed' : 'Always there'}</th>
              <th scope="col">Notes</th>
            </tr>
          </thead>
          <tbody>
            ${fields.map(
              ({ name, type, required, notes }) =>
                html`<tr>
                  <th scope="row"><code>${name}</code></th>
                  <td>${type}</td>
                  <td>${required ? 'yes' : 'no'}</td>
                  <td>${notes.join('; ')}</td>
                </tr> `,
            )}
          </tbody>
        </table>
      </div> `

const problemText = (code: RejectionCode, operations: readonly Operation[]): Html => {
  const { status, title, retryable } = problems[code]
  const by = operations.filter((operation) => codesOf(operation).includes(code))
  return html`<main class="one">
    <p class="brand"><a href="/docs">Holdfast API</a></p>
    <h1>${title}</h1>
    <div class="wide">
      <table>
        <tbody>
          <tr>
            <th scope="row">Code</th>
            <td><code>${code}</code></td>
          </tr>
          <tr>
            <th scope="row">Status</th>
            <td>${status}</td>
          </tr>
          <tr>
            <th scope="row">Retryable</th>
            <td>${retryable ? 'yes' : 'no'}</td>
          </tr>
        </tbody>
      </table>
    </div>
    <h2>What to do</h2>
    <p>${adviceOn(code)}</p>
    <h2>How it looks</h2>
    <pre tabindex="0"><code>${JSON.stringify(problemExample(code), null, 2)}</code></pre>
    <h2>Who answers it</h2>
    ${
      by.length === 0
        ? html`<p>No operation of this version.</p>`
        : by.length === operations.length
          ? html`<p>Every operation may.</p>`
          : html`<ul>
              ${by.map((operation) => html`<li><a href="/docs#${operationId(operation)}">${operation.summary}</a> (<code>${operation.method} ${operation.path}</code>)</li>`)}
            </ul>`
    }
  </main>`
}

const adviceOn = (code: RejectionCode): string => {
  const { status, retryable } = problems[code]
  if (code === 'insufficient_stock')
    return 'Each shortage says what was asked, what there is, what others hold, and when the next of their holds ends. Ask for less, elsewhere, or again after that; the same Idempotency-Key may be used.'
  if (retryable && status >= 500)
    return 'Nothing that was answered before is lost. Send the same request with the same Idempotency-Key again, after the time that Retry-After names.'
  if (retryable) return 'Wait, as long as Retry-After says where it is there, and send the same request with the same Idempotency-Key again.'
  if (code === 'hold_expired') return 'From the instant it expired, its units belong to whoever asks next. Place a new hold; it is checked anew.'
  if (code === 'unauthenticated')
    return 'Send Authorization: Bearer with a key that is neither revoked nor expired, or sign in. The first keys are made with the command key create.'
  if (code === 'permission_denied') return 'The detail names what is missing: a scope, or a location. Use a key that has it, or ask an administrator.'
  if (code === 'idempotency_key_reused') return 'Use a new key for a new request, and keep a key for the repetitions of its own request.'
  if (code === 'version_conflict') return 'Read it again, decide again with what it says now, and send the version that it has.'
  return 'The same request will be refused again: change it. The detail, and errors where there are any, say what is wrong.'
}

const words = (tag: string): string => {
  const text = tag.replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1b2430;--soft:#586575;--page:#fff;--panel:#f5f7f9;--line:#dde3e9;--link:#0b5cad;--get:#0b6b3a;--post:#0b5cad;--patch:#8a5200;--delete:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#9aa8b6;--page:#12161b;--panel:#1a2027;--line:#2d3742;--link:#7db7f5;--get:#6fce9b;--post:#7db7f5;--patch:#e6b566;--delete:#f2938c}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--page)}
a{color:var(--link)}
a:focus-visible,pre:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875em}
pre{overflow-x:auto;padding:.75rem 1rem;background:var(--panel);border:1px solid var(--line);border-radius:6px;line-height:1.45}
.frame{display:grid;grid-template-columns:19rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.25rem;border-right:1px solid var(--line);background:var(--panel);font-size:.875rem}
nav h2{margin:1.25rem 0 .25rem;font-size:.8125rem}
nav h2 a{color:var(--soft);text-decoration:none}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:block;padding:.15rem 0;color:var(--ink);text-decoration:none}
nav li a:hover{text-decoration:underline}
.brand{margin:0 0 .75rem;font-weight:650}
.brand a{color:inherit;text-decoration:none}
main{max-width:60rem;padding:2rem 2.5rem 6rem}
main.one{margin:0 auto}
h1{margin:.25rem 0 .5rem;font-size:1.875rem;line-height:1.2}
h2{margin:3rem 0 .75rem;font-size:1.375rem}
h3{margin:0 0 .5rem;font-size:1.0625rem}
.lead{font-size:1.125rem;color:var(--soft)}
article{margin:0 0 1rem;padding:1.5rem 0;border-top:1px solid var(--line)}
.method{display:inline-block;min-width:3.4em;font:600 .75rem/1.4 ui-monospace,Menlo,Consolas,monospace}
.get{color:var(--get)}.post{color:var(--post)}.patch{color:var(--patch)}.delete{color:var(--delete)}
.path{margin:.25rem 0}
.farewell{color:var(--delete)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.75rem 0;font-size:.875rem}
caption{text-align:left;font-weight:600;padding-bottom:.25rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);font-weight:400}
thead th{color:var(--soft);white-space:nowrap}
tbody th code{white-space:nowrap}
summary{cursor:pointer;color:var(--soft)}
.codes{font-size:.875rem;color:var(--soft);line-height:2}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;padding:.5rem;background:var(--page);z-index:1}
@media (max-width:52rem){.frame{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}main{padding:1.25rem}}
`
