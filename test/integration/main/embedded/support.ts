import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded, stopEmbedded } from '../../../../src/main/embedded/index.js';

/** Data directories for tests of the embedded services; an initialised database is copied, which takes 0.2 s, not 1.5 s. */
export interface DataDirectories {
  /** A new directory with an initialised database, not running. */
  initialised: (name?: string) => Promise<string>;
  /** A path that does not exist yet. */
  absent: (name?: string) => Promise<string>;
  /** Stops whatever runs in the directories handed out, and removes them. */
  close: () => Promise<void>;
}

export async function createDataDirectories(): Promise<DataDirectories> {
  const root = await mkdtemp(join(tmpdir(), 'embedded-'));
  const template = join(root, 'template');
  await startEmbedded({ dataDir: template });
  await stopEmbedded({ dataDir: template });
  const made: string[] = [];
  const absent = async (name = 'data') => {
    const path = join(await mkdtemp(join(root, 'd-')), name);
    made.push(path);
    return path;
  };
  return {
    absent,
    initialised: async (name) => {
      const path = await absent(name);
      await mkdir(path, { mode: 0o700 });
      await cp(join(template, 'mariadb'), join(path, 'mariadb'), { recursive: true });
      return path;
    },
    close: async () => {
      for (const dataDir of made) await stopEmbedded({ dataDir });
      await rm(root, { recursive: true, force: true });
    },
  };
}
