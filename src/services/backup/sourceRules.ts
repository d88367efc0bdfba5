import { isNbdAllowed } from '../../datapath/index.js';
import { parseNbdUri } from '../../datapath/nbd/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { checkPathUnder, type PathRules } from '../../shared/pathRules.js';
import { type DiskSource, SOURCE_FORMATS } from '../../shared/sources.js';

/** The settings that decide on sources. */
export interface SourceRules {
  sourceRoots: readonly string[];
  nbdAllow: readonly string[];
}

/** What a path leads to, where this host sees it. */
export type Identify = (path: string) => string | undefined;

/** What can be said of a source of one kind without opening it. */
interface Kind<S> {
  /** Refuses what no worker would read. */
  check(source: S, rules: SourceRules, field: string): void;
  /** Paths that have to be looked at to tell the disk from others. */
  paths(source: S): string[];
  /** Texts that tell the disk from others: two sources with a text in common read the same disk. */
  keys(source: S, identify: Identify): string[];
}

type Of<T extends DiskSource['type']> = Extract<DiskSource, { type: T }>;

/** Every kind of source: one that is not here does not compile. */
const KINDS: { [T in DiskSource['type']]: Kind<Of<T>> } = {
  file: {
    check: checkFile,
    paths: ({ path }) => [path],
    keys: ({ path }, identify) => present(`path:${path}`, identify(path)),
  },
  nbd: {
    check: ({ uri }, { nbdAllow }, field) => checkNbdUri(uri, nbdAllow, `${field}.uri`),
    paths: ({ uri }) => {
      const address = addressOf(uri);
      return address?.kind === 'unix' ? [address.socketPath] : [];
    },
    keys: nbdKeys,
  },
  // An agent writes the disk: there is nothing to look at, and no other disk that it could be.
  push: { check: () => undefined, paths: () => [], keys: () => [] },
};

const kindOf = (source: DiskSource) => KINDS[source.type] as Kind<DiskSource>;

/**
 * What can be said of a source without opening it: the API's host may not see the files. The worker looks at the real
 * path and into the image, and may still refuse.
 * @param field where the source stands in the request, such as `disks[0].source`
 * @throws unknown_format, path_not_allowed, invalid_request, nbd_not_allowed
 */
export function checkSource(source: DiskSource, rules: SourceRules, field: string): void {
  kindOf(source).check(source, rules, field);
}

/** Paths that have to be looked at to tell a source from others. */
export function pathsOf(source: DiskSource): string[] {
  return kindOf(source).paths(source);
}

/** Texts that tell a source from others: two sources with a text in common read the same disk. */
export function keysOf(source: DiskSource, identify: Identify): string[] {
  return kindOf(source).keys(source, identify);
}

/** As long as Linux has them: PATH_MAX counts the NUL at the end, NAME_MAX does not. */
const sourcePaths = (roots: readonly string[]): PathRules => ({
  roots,
  what: 'a source',
  setting: 'STRATA_SOURCE_ROOTS',
  remedy: 'strata up --allow PATH, or that variable',
  longestPath: 4095,
  longestName: 255,
});

function checkFile({ path, format }: Of<'file'>, { sourceRoots }: SourceRules, field: string): void {
  if (!SOURCE_FORMATS.includes(format)) {
    throw new StrataError('unknown_format', `The format is one of ${SOURCE_FORMATS.join(', ')}.`, {
      field: `${field}.format`,
    });
  }
  checkPathUnder(path, sourcePaths(sourceRoots), `${field}.path`);
}

/** The URI, and, for TCP, whether its server is allowed. The worker judges a unix socket, on whose host it is. */
function checkNbdUri(uri: string, allow: readonly string[], field: string): void {
  try {
    const address = parseNbdUri(uri);
    if (address.kind === 'unix' || isNbdAllowed(address, allow)) return;
  } catch (error) {
    if (!isStrataError(error)) throw error;
    throw new StrataError(error.code, error.message, { field, cause: error });
  }
  throw new StrataError('nbd_not_allowed', 'The NBD server is not in STRATA_NBD_ALLOW.', { field });
}

function nbdKeys({ uri }: Of<'nbd'>, identify: Identify): string[] {
  const address = addressOf(uri);
  if (!address) return [`uri:${uri}`];
  const { exportName } = address;
  if (address.kind === 'tcp') return [`nbd:${address.host.toLowerCase()}:${address.port}/${exportName}`];
  const socket = identify(address.socketPath);
  return present(`socket:${address.socketPath}/${exportName}`, socket && `${socket}/${exportName}`);
}

function present(...keys: (string | undefined)[]): string[] {
  return keys.filter((key) => key !== undefined);
}

function addressOf(uri: string): ReturnType<typeof parseNbdUri> | undefined {
  try {
    return parseNbdUri(uri);
  } catch (error) {
    if (!isStrataError(error)) throw error;
    return undefined;
  }
}
