import { MAX_STRING, OPTION, OPTION_ERROR, OPTION_REPLY } from './constants.js';
import { optionRefused, protocolError } from './errors.js';
import { askOption, counted, type Haggler, requireAccepted, uint32 } from './options.js';

/** Granted meta contexts: the name that was asked for, and the id that the server uses in its replies. */
export type ContextIds = ReadonlyMap<string, number>;

/**
 * Asks for meta contexts by their full names (NBD_OPT_SET_META_CONTEXT). A server that does not know the option, or not
 * these contexts, grants none.
 * @throws nbd_refused if the export does not exist or may not be used
 */
export async function setMetaContexts(
  haggler: Haggler,
  exportName: string,
  names: readonly string[],
): Promise<ContextIds> {
  const outcome = await askOption(
    haggler,
    OPTION.setMetaContext,
    query(exportName, names),
    OPTION_REPLY.metaContext,
  );
  const granted = new Map<string, number>();
  if (outcome.refused) {
    const { type, message } = outcome.refused;
    if (type === OPTION_ERROR.unsupported || type === OPTION_ERROR.invalid) return granted;
    throw optionRefused('the meta contexts', type, message);
  }
  for (const reply of outcome.replies) {
    const { id, name } = parseContext(reply);
    if (!names.includes(name) || granted.has(name) || [...granted.values()].includes(id))
      throw protocolError('The server granted a meta context that was not asked for, or one twice.', {
        name,
      });
    granted.set(name, id);
  }
  return granted;
}

/** Names of the meta contexts that match the queries, such as `qemu:` (NBD_OPT_LIST_META_CONTEXT); all for no query. */
export async function listContextNames(
  haggler: Haggler,
  exportName: string,
  queries: readonly string[],
): Promise<string[]> {
  const outcome = await askOption(
    haggler,
    OPTION.listMetaContext,
    query(exportName, queries),
    OPTION_REPLY.metaContext,
  );
  return requireAccepted(outcome, 'the list of meta contexts').map((reply) => parseContext(reply).name);
}

function query(exportName: string, names: readonly string[]): Buffer {
  return Buffer.concat([counted(exportName), uint32(names.length), ...names.map(counted)]);
}

function parseContext(reply: Buffer): { id: number; name: string } {
  if (reply.length < 5 || reply.length > 4 + MAX_STRING)
    throw protocolError('The name of a meta context is malformed.');
  return { id: reply.readUInt32BE(0), name: reply.toString('utf8', 4) };
}
