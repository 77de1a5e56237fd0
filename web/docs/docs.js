// Shows /api/openapi.json. Everything is built with textContent: nothing of the document is ever read as HTML.
const VERBS = ['get', 'post', 'put', 'patch', 'delete'];

const element = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};

const start = async () => {
  const response = await fetch('/api/openapi.json');
  if (!response.ok) throw new Error(`openapi.json answered ${response.status}`);
  const api = await response.json();
  document.querySelector('#description').textContent = `${api.info.description.replaceAll('`', '')} Version ${api.info.version}.`;
  const sections = new Map(api.tags.map(({ name }) => [name, []]));
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const verb of VERBS) {
      const operation = verbs[verb];
      if (operation) sections.get(operation.tags[0])?.push(operationNode(api, path, verb, operation));
    }
  }
  for (const [tag, operations] of sections) {
    if (operations.length === 0) continue;
    const id = `tag-${tag.toLowerCase().replace(/\W+/g, '-')}`;
    document.querySelector('#tags').append(element('a', { href: `#${id}` }, tag));
    document.querySelector('#operations').append(element('section', { id }, element('h2', {}, tag), ...operations));
  }
  document.querySelector('#search').addEventListener('input', (event) => filter(event.target.value.toLowerCase()));
};

const filter = (wanted) => {
  for (const operation of document.querySelectorAll('.operation')) operation.hidden = !operation.dataset.text.includes(wanted);
  for (const section of document.querySelectorAll('section')) section.hidden = !section.querySelector('.operation:not([hidden])');
};

const operationNode = (api, path, verb, operation) => {
  const node = element(
    'details',
    { class: 'operation', id: operation.operationId },
    element(
      'summary',
      {},
      element('span', { class: `verb ${verb}` }, verb),
      element('code', {}, path),
      element('span', { class: 'what' }, operation.summary),
    ),
  );
  node.dataset.text = `${verb} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  // The detail is built when it is first looked at: a hundred operations with their schemas are slow to draw.
  node.addEventListener('toggle', () => node.append(detailNode(api, operation)), { once: true });
  return node;
};

const detailNode = (api, operation) => {
  const resolve = (value) =>
    value?.$ref
      ? value.$ref
          .split('/')
          .slice(1)
          .reduce((at, key) => at?.[key], api)
      : value;
  const parameters = (operation.parameters ?? []).map(resolve);
  const body = operation.requestBody?.content['application/json'].schema;
  const access =
    operation.security.length === 0 || Object.keys(operation.security[0]).length === 0 ? 'No session needed.' : 'Session needed.';
  return element(
    'div',
    { class: 'detail' },
    element('div', {}, `${access} ${operation.description ?? ''}`),
    parameters.length > 0 ? heading('Parameters') : null,
    parameters.length > 0
      ? table(parameters.map((parameter) => [code(parameter.name), parameter.in, typeOf(parameter.schema, api), parameterNote(parameter)]))
      : null,
    body ? heading('Body') : null,
    body ? element('pre', {}, sketch(body, api)) : null,
    heading('Answers'),
    table(Object.entries(operation.responses).map(([status, answer]) => [code(status), resolve(answer).description])),
    ...success(operation, api),
  );
};

const success = (operation, api) => {
  const schema = Object.values(operation.responses)[0]?.content?.['application/json']?.schema?.properties?.data;
  return schema ? [heading('data'), element('pre', {}, sketch(schema, api))] : [];
};

const heading = (text) => element('h3', {}, text);
const code = (text) => element('code', {}, text);
const table = (rows) =>
  element('table', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell ?? '')))));
const parameterNote = ({ required, description, example }) =>
  [required ? 'required' : '', description ?? '', example === undefined ? '' : `for example ${example}`].filter(Boolean).join('; ');

const typeOf = (schema, api) => {
  if (schema?.$ref) return typeOf(named(schema, api), api);
  if (schema?.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema?.const !== undefined) return JSON.stringify(schema.const);
  const variants = schema?.anyOf ?? schema?.oneOf;
  if (variants) return variants.map((variant) => typeOf(variant, api)).join(' | ');
  return [schema?.type ?? 'any'].flat().join(' | ') + (schema?.format ? ` (${schema.format})` : '');
};

const named = (schema, api) => api.components.schemas[schema.$ref.split('/').at(-1)];

// A schema as a reader's sketch: `name: type`, one line for each key.
const sketch = (schema, api, indent = '', depth = 0) => {
  if (depth > 6) return '…';
  if (schema?.$ref) return sketch(named(schema, api), api, indent, depth + 1);
  const variants = schema?.anyOf ?? schema?.oneOf ?? schema?.allOf;
  if (variants) return variants.map((variant) => sketch(variant, api, indent, depth + 1)).join(schema.allOf ? ' & ' : ' | ');
  if (schema?.type === 'array') return `[${sketch(schema.items ?? {}, api, indent, depth + 1)}]`;
  if (!schema?.properties) return typeOf(schema, api);
  const inner = `${indent}  `;
  const lines = Object.entries(schema.properties).map(
    ([key, value]) => `${inner}${key}${schema.required?.includes(key) ? '' : '?'}: ${sketch(value, api, inner, depth + 1)}`,
  );
  return `{\n${lines.join('\n')}\n${indent}}`;
};

start().catch((error) => {
  document.querySelector('#description').textContent = `The document could not be loaded: ${error.message}`;
});
