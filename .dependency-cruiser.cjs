// Who may import whom (docs/architecture.md). A folder that is not in a folder's list is forbidden to it.
const MAY_IMPORT = {
  producers: ['queue', 'services', 'db', 'entities', 'config', 'contract', 'observability', 'shared'],
  workers: ['queue', 'services', 'observability', 'shared'],
  services: ['datapath', 'qcow2', 'db', 'entities', 'shared'],
  datapath: ['qcow2', 'shared'],
  db: ['entities', 'shared'],
  queue: ['shared'],
  qcow2: ['shared'],
  config: ['shared'],
  observability: ['shared'],
  contract: ['shared'],
  client: ['contract', 'shared'],
  cli: ['client', 'contract', 'config', 'shared'],
  entities: ['shared'],
  shared: [],
};

// The rooms of src/services: which other rooms each may import, and which folders beside services. The verbs do not import each other.
const BELOW_VERBS = ['chain', 'job', 'protection', 'repository'];
const VERBS = ['backup', 'consolidation', 'rebuild', 'reconcile', 'restore', 'retention', 'validation'];
const ROOMS = {
  chain: { rooms: [], folders: ['db', 'entities', 'shared'] },
  repository: { rooms: [], folders: ['datapath', 'qcow2', 'entities', 'shared'] },
  protection: { rooms: ['repository'], folders: ['db', 'entities', 'shared'] },
  job: { rooms: ['chain', 'protection', 'repository'], folders: ['datapath', 'db', 'entities', 'shared'] },
  ...Object.fromEntries(VERBS.map((verb) => [verb, { rooms: BELOW_VERBS, folders: MAY_IMPORT.services }])),
};
// What every room may be built with.
const SERVICE_DEPS = '^src/services/deps\\.ts$';
// The one thing that a verb asks of another: a backup, in the middle of its work, how the files of its chain are.
const QUICK_LOOK = { from: 'backup', to: '^src/services/validation/quickLook\\.ts$' };
// Which folders may import a package; main may import all of them.
const PACKAGES = {
  execa: ['qcow2'],
  typeorm: ['db', 'entities'],
  mysql2: ['db'],
  bullmq: ['queue', 'workers', 'producers'],
  ioredis: ['queue'],
  fastify: ['producers'],
  '@fastify': ['producers'],
  '@bull-board': ['producers'],
  typebox: ['contract', 'producers', 'queue', 'config'],
  pino: ['observability'],
  'prom-client': ['observability'],
  '@napi-rs/blake-hash': ['datapath'],
  commander: ['cli'],
  'cron-parser': ['producers'],
};

const folderRules = Object.entries(MAY_IMPORT).map(([from, to]) => ({
  name: `${from}-imports-only-its-neighbours`,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: [from, ...to].map((f) => `^src/${f}/`).join('|') },
}));

const roomRules = Object.entries(ROOMS).map(([room, { rooms, folders }]) => ({
  name: `services-${room}-imports-only-its-neighbours`,
  severity: 'error',
  from: { path: `^src/services/${room}/` },
  to: {
    path: '^src/',
    pathNot: [
      ...[room, ...rooms].map((each) => `^src/services/${each}/`),
      ...folders.map((folder) => `^src/${folder}/`),
      ...(room === 'repository' || room === 'chain' ? [] : [SERVICE_DEPS]),
      ...(room === QUICK_LOOK.from ? [QUICK_LOOK.to] : []),
    ].join('|'),
  },
}));

const packageRules = Object.entries(PACKAGES).map(([name, folders]) => ({
  name: `${name}-only-in-${folders.join('-and-')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: ['main', ...folders].map((f) => `^src/${f}/`).join('|') },
  to: { path: `^node_modules/${name}(/|$)` },
}));

module.exports = {
  forbidden: [
    ...folderRules,
    ...roomRules,
    {
      name: 'services-has-no-other-rooms',
      severity: 'error',
      from: {
        path: '^src/services/[^/]+/',
        pathNot: Object.keys(ROOMS)
          .map((room) => `^src/services/${room}/`)
          .join('|'),
      },
      to: {},
    },
    ...packageRules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'migrations-import-nothing-in-src',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^src/' },
    },
    {
      name: 'nothing-imports-main',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/main/' },
      to: { path: '^src/main/' },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-child-process-outside-qcow2',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(qcow2|main)/' },
      to: { path: '^(node:)?child_process$' },
    },
    {
      name: 'only-config-reads-env-file',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(config|main)/' },
      to: { path: '^(node:)?process$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
