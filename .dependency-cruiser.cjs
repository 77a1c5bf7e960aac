/** The import direction of docs/architecture.md, as an allow-list of rooms; and one folder for each outside library. */
const rooms = {
  events: ['events'],
  log: ['events', 'log'],
  bridges: ['events', 'log', 'bridges'],
  state: ['events', 'log', 'state'],
  models: ['models'],
  operators: ['events', 'log', 'state', 'models', 'operators'],
  topology: ['events', 'log', 'state', 'models', 'operators', 'topology'],
  pipelines: ['events', 'log', 'state', 'models', 'operators', 'topology', 'pipelines'],
  retraining: ['events', 'log', 'state', 'models', 'operators', 'topology', 'pipelines', 'retraining'],
  service: ['events', 'log', 'bridges', 'state', 'models', 'operators', 'topology', 'pipelines', 'retraining', 'service'],
  cli: ['events', 'log', 'bridges', 'state', 'models', 'operators', 'topology', 'pipelines', 'retraining', 'service', 'cli'],
};
const libraries = {
  lmdb: '^src/log/embedded/',
  kafkajs: '^src/log/kafka/',
  mqtt: '^src/bridges/mqtt/',
  aedes: '^src/bridges/broker/',
  avsc: '^src/events/',
  'csv-parse': '^src/bridges/csv/',
  '@tensorflow/': '^src/models/tensorflow/',
  fastify: '^src/service/http/',
  'prom-client': '^src/service/metrics/',
  uplot: '^src/service/page/',
  pino: '^src/service/logging/',
  zod: '^src/service/configuration/',
  yaml: '^src/service/configuration/',
  commander: '^src/cli/',
  'vega-datasets': '^src/cli/demo/',
};
const escape = (text) => text.replace(/[/\\^$.|?*+()[\]{}-]/g, '\\$&');
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: ['\\.d\\.ts$', '\\.(test|contract|worker)\\.ts$', '^src/(index|cli/main)\\.ts$', 'assembly/'] }, to: {} },
    { name: 'no-dev-dependencies', severity: 'error', from: { path: '^src', pathNot: '\\.(test|contract)\\.ts$' }, to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] } },
    { name: 'product-needs-no-tests', severity: 'error', from: { path: '^src', pathNot: '\\.(test|contract)\\.ts$' }, to: { path: '\\.(test|contract)\\.ts$|^test/' } },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `room-${room}`,
      severity: 'error',
      comment: `src/${room} may import only: errors, ${allowed.join(', ')}`,
      from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: `^src/(errors\\.ts$|(${allowed.join('|')})/)` },
    })),
    ...Object.entries(libraries).map(([library, home]) => ({
      name: `library-${library}`,
      severity: 'error',
      comment: `${library} lives in ${home}`,
      from: { path: '^src/', pathNot: `${home}|\\.test\\.ts$` },
      to: { path: `node_modules/${escape(library)}` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'assembly/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'], extensions: ['.ts', '.js'] },
  },
};
