// The `strata` command. bin/strata starts it.
import { runCli } from '../cli/index.js';
import { addControlCommands } from './control/commands.js';
import { processIo } from './terminal.js';

const { io, close } = processIo();
// Not process.exit(): what was written to a pipe must be read first.
process.exitCode = await runCli(process.argv.slice(2), io, (program) => addControlCommands(program, io));
close();
