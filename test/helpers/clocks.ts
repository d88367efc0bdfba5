import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestFleet } from './fleet.js';

/** By how much clocks are ahead of the real ones. */
export interface Clocks {
  /** Of the hosts of all processes with `setClock.js`. */
  hostSeconds: number;
  /** Of the database, as these processes see it. */
  databaseSeconds: number;
}

export interface SetClocks {
  /** For processes that are to live by these clocks. */
  process: { preload: string[]; env: Record<string, string> };
  set(clocks: Clocks): Promise<void>;
}

/** Longer than the processes take to look at the file. */
const SEEN_MS = 60;

/** Clocks that can be set, right at first. */
export async function createClocks(fleet: TestFleet): Promise<SetClocks> {
  const file = join(fleet.suite.tempDir, 'clocks.json');
  const write = async (clocks: Clocks) => {
    await writeFile(`${file}.new`, JSON.stringify(clocks));
    await rename(`${file}.new`, file);
  };
  await write({ hostSeconds: 0, databaseSeconds: 0 });
  return {
    process: { preload: ['setClock.js'], env: { STRATA_TEST_CLOCKS: file } },
    set: async (clocks) => {
      await write(clocks);
      await fleet.accept.clock.sleep(SEEN_MS);
    },
  };
}
