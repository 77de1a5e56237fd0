/**
 * Who may import whom. The table below is the architecture; the rules under it are the few bans that a table cannot say.
 * Type-only imports count (`tsPreCompilationDeps`), because a type is knowledge of a layer too. A suppression needs its reason beside it.
 */

/** Folder -> the other folders of ours it may import. `server`, `scripts`, `tests` and `load` are not listed: they compose, so they are free. */
const layers = {
  config: [],
  schemas: [],
  lib: ['config', 'schemas'],
  models: ['lib', 'schemas'],
  presenters: ['models', 'schemas'],
  services: ['models', 'lib', 'config', 'schemas'],
  routes: ['services', 'presenters', 'lib', 'schemas'],
  jobs: ['services', 'presenters', 'lib', 'schemas'],
};

const production = Object.keys(layers).concat('server');
const inside = (...folders) => `^(${folders.join('|')})/`;
/** A package by name, as installed or as its types, wherever npm put it. */
const packages = (...names) => names.map((name) => `(^|/)node_modules/(@types/)?${name}/`);

const direction = Object.entries(layers).map(([from, may]) => ({
  name: `${from}-layer`,
  comment: `${from}/ may import only ${may.length > 0 ? may.map((folder) => `${folder}/`).join(', ') : 'packages'}`,
  severity: 'error',
  from: { path: inside(from) },
  to: { dependencyTypes: ['local'], path: '^(?!node_modules)[^/]+/', pathNot: [from, ...may].map((folder) => inside(folder)) },
}));

module.exports = {
  forbidden: [
    ...direction,
    {
      name: 'nobody-imports-server',
      comment: 'server/ composes everything else; what others need from it belongs in lib/',
      severity: 'error',
      from: { pathNot: inside('server', 'scripts', 'tests', 'load') },
      to: { path: inside('server') },
    },
    {
      name: 'production-stands-alone',
      comment: 'the service runs without its tests, its command-line scripts and its load tools',
      severity: 'error',
      from: { path: inside(...production) },
      to: { path: inside('tests', 'scripts', 'load') },
    },
    {
      name: 'express-in-server-only',
      comment: 'endpoints are data and services return values; only server/ knows that Express sends them',
      severity: 'error',
      from: { path: inside(...Object.keys(layers)) },
      to: { path: packages('express', 'express-serve-static-core') },
    },
    {
      name: 'sequelize-below-services',
      comment: 'a route cannot query: only services/, models/ and lib/ see the ORM',
      severity: 'error',
      from: { path: inside(...production), pathNot: inside('services', 'models', 'lib') },
      to: { path: packages('sequelize') },
    },
    {
      name: 'light-primary',
      comment: 'the supervising process loads no request code and no database driver, even indirectly: it must outlive their faults',
      severity: 'error',
      from: { path: '^server/cluster/primary\\.ts$' },
      to: {
        path: [inside('models', 'services', 'presenters', 'routes', 'jobs'), ...packages('express', 'sequelize', 'pg')],
        reachable: true,
      },
    },
    {
      name: 'models-do-not-import-models',
      comment: 'relations live in models/associations.ts; between models only types travel',
      severity: 'error',
      from: { path: '^models/[^/]+\\.model\\.ts$' },
      to: { path: '^models/[^/]+\\.model\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-cycles',
      comment: 'import order must never decide behaviour; links of types alone are harmless',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'], viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-development-packages',
      comment: 'production images carry no development packages',
      severity: 'error',
      from: { path: inside(...production) },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'resolvable',
      comment: 'every import names a file or an installed package',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage)/|^load/(lib|scenarios)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
