/**
 * Writes docs/config.md from the schema of the environment.
 *   npm run docs:config              writes it
 *   npm run docs:config -- --check   fails when the file differs from what would be written
 */
import { describeVariables, type VariableDescription } from '../config/describe';
import { publish } from './docs-file';

const code = (text: string): string => `\`${text}\``;

function row({ name, kind, fallback, text, secret }: VariableDescription): string {
  const names = secret ? `${code(name)}<br>${code(`${name}_FILE`)}` : code(name);
  return `| ${names} | ${kind} | ${fallback === undefined ? '–' : code(fallback)} | ${text.replaceAll('|', '\\|')} |`;
}

const page = `# Configuration

Generated from \`config/env.ts\` by \`npm run docs:config\`; do not edit.

- The environment is read once, at start. A bad value stops the process before it listens, with exit code 78 and every fault named.
- Bare numbers are seconds; names ending in \`_MS\` and \`_MB\` say their unit. An empty value counts as unset.
- A limit of rates (\`10/300\`) is a count and the seconds of its window; neither may be 0.
- A file \`.env\` in the working folder (or the one that \`ENV_FILE\` names) supplies what the environment does not.
- A secret may be given as a file: \`NAME_FILE\` holds its path. Giving both is refused.
- With \`NODE_ENV=production\` the service refuses: a missing, short or placeholder \`JWT_SECRET\`; no database, an embedded one or
  SQLite; a database on another host without verified TLS; demo data; \`LOG_LEVEL=DEBUG\`.

| variable | type | default | meaning |
|---|---|---|---|
${describeVariables().map(row).join('\n')}
`;

publish('docs/config.md', page, 'docs:config');
