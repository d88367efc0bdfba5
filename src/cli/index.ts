// The command line: everything that talks to the API. `up`, `down` and `status` are added by src/main/cli.ts.
export { action, type CommandContext, type Output } from './command.js';
export { cliFilePath, connect, type CliFile, dataDirectory, readCliFile } from './connection.js';
export type { CliIo } from './io.js';
export { runCli } from './program.js';
export { renderRepositories, type RepositoryState } from './render/cadence.js';
export { repositoryStates } from './lookUp.js';
