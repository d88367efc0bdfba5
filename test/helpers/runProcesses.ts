import {
  environmentOf,
  isRunning,
  ownProcesses,
  parentOf,
  type ProcessEntry,
} from '../../src/main/embedded/processes.js';

/**
 * The processes of a test run that are alive: those that carry its mark, those that name its directory in an argument,
 * and the descendants of `root` if given. `except` (and, of course, `root`) are left out.
 */
export async function findRunProcesses(
  id: string,
  except: readonly number[],
  root?: number,
): Promise<ProcessEntry[]> {
  const found: ProcessEntry[] = [];
  for (const entry of await ownProcesses()) {
    if (entry.pid === root || except.includes(entry.pid) || !(await isRunning(entry.pid))) continue;
    if (await belongs(entry, id, root)) found.push(entry);
  }
  return found;
}

async function belongs({ pid, argv }: ProcessEntry, id: string, root: number | undefined): Promise<boolean> {
  if (argv.some((argument) => argument.includes(id))) return true;
  if ((await environmentOf(pid)).get('STRATA_TEST_RUN') === id) return true;
  return root !== undefined && (await isDescendant(pid, root));
}

async function isDescendant(pid: number, root: number): Promise<boolean> {
  for (
    let parent = await parentOf(pid);
    parent !== undefined && parent > 1;
    parent = await parentOf(parent)
  ) {
    if (parent === root) return true;
  }
  return false;
}
