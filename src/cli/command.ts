import type { Command } from 'commander';
import type { StrataClient } from '../client/index.js';
import type { StrataError } from '../shared/errors.js';
import { connect } from './connection.js';
import { assertFlags } from './flagRules.js';
import type { CliIo } from './io.js';
import { createProgressView, type ProgressView, SILENT } from './progress.js';
import { escapeInvisibleJson } from '../shared/invisible.js';
import { formatBytes } from './render/bytes.js';
import { printableLines } from './render/printable.js';

/** What a command has to say: one JSON document, or the text for a person. */
export interface Output {
  json: unknown;
  text: string;
  /** The command could tell something, and yet failed: the error decides the exit code. */
  failure?: StrataError | undefined;
}

/** What a command works with. */
export interface CommandContext {
  io: CliIo;
  json: boolean;
  /** Sizes as the user wants them: human-readable, or exact with `--bytes`. */
  size: (bytes: number | null | undefined) => string;
  progress: ProgressView;
  /** Connects at the first use: commands without the API need neither address nor token. */
  client: () => Promise<StrataClient>;
}

/** Options that every command takes. */
export interface GlobalOptions {
  json?: true;
  bytes?: true;
  url?: string;
  token?: string;
}

/** Adds the options of all commands to the program. */
export function addGlobalOptions(program: Command): Command {
  return program
    .option('--json', 'print one JSON document; errors as problem JSON on standard error')
    .option('--bytes', 'print sizes in bytes')
    .option('--url <url>', "address of the API (or STRATA_URL; else that of the data directory's cli.json)")
    .option('--token <token>', 'bearer token (or STRATA_TOKEN; visible to others in the process list)');
}

/**
 * Makes a commander action of a handler: the handler gets the context, the command's arguments and its options, and
 * returns what to print.
 */
export function action<Arguments extends unknown[]>(
  io: CliIo,
  handler: (context: CommandContext, ...args: Arguments) => Promise<Output>,
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    // commander calls with the arguments, the options, and the command itself.
    const command = args.at(-1) as Command;
    assertFlags(command);
    const context = contextOf(io, command.optsWithGlobals<GlobalOptions>());
    const output = await handler(context, ...(args.slice(0, -1) as Arguments));
    // Here, and not only in tables: names, messages and paths from outside stand in sentences, too.
    const { text, json } = output;
    io.out(context.json ? `${escapeInvisibleJson(JSON.stringify(json, null, 2))}\n` : printableLines(text));
    if (output.failure) throw output.failure;
  };
}

function contextOf(io: CliIo, options: GlobalOptions): CommandContext {
  const json = options.json === true;
  let client: Promise<StrataClient> | undefined;
  return {
    io,
    json,
    size: (bytes) => formatBytes(bytes, options.bytes === true),
    progress: json ? SILENT : createProgressView(io),
    client: () => (client ??= connect(io, options)),
  };
}

/** For options that may be given several times. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
