import type { ChainBackup } from '../../client/index.js';

/** One line of the drawing: the graph to the left of a backup. */
export interface TreeLine {
  graph: string;
  backup: ChainBackup;
}

const NODE = '●';

/**
 * Lays the completed backups of a chain out as a tree, parents first. The newest child goes straight down, so that a
 * linear chain is one column; older children (a differential beside the increments) branch off to the right.
 */
export function layOutChain(backups: readonly ChainBackup[]): TreeLine[] {
  const drawn = backups.filter((backup) => backup.status === 'completed');
  const ids = new Set(drawn.map((backup) => backup.id));
  const children = new Map<string, ChainBackup[]>();
  const roots: ChainBackup[] = [];
  for (const backup of drawn) {
    const parent = backup.parent_backup_id;
    // A parent that is not completed is shown as missing by its child standing alone.
    if (parent === null || !ids.has(parent)) roots.push(backup);
    else children.set(parent, [...(children.get(parent) ?? []), backup]);
  }
  return roots.flatMap((root) => layOutBranch(root, children, '', ''));
}

function layOutBranch(
  start: ChainBackup,
  children: ReadonlyMap<string, ChainBackup[]>,
  first: string,
  rest: string,
): TreeLine[] {
  const lines: TreeLine[] = [];
  let graph = first;
  let next: ChainBackup | undefined = start;
  while (next) {
    lines.push({ graph: `${graph}${NODE}`, backup: next });
    const following: ChainBackup[] = children.get(next.id) ?? [];
    for (const branch of following.slice(0, -1)) {
      lines.push(...layOutBranch(branch, children, `${rest}├─`, `${rest}│ `));
    }
    next = following.at(-1);
    graph = rest;
  }
  return lines;
}
