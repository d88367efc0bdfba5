// Root hooks of the whole run: mocha --require dist/test/helpers/hooks.js
import { writeSync } from 'node:fs';
import type { RootHookObject } from 'mocha';
import { countHandles, findDatabaseLeaks, findLeaks } from './leaks.js';
import { stopTestServices } from './services.js';
import { endRun } from './testRun.js';

/** How long the process may take to end by itself after the last test. */
const EXIT_MS = 15_000;

let before = new Map<string, number>();

export const mochaHooks: RootHookObject = {
  beforeAll() {
    before = countHandles();
  },
  async afterAll(this: Mocha.Context) {
    this.timeout(180_000);
    const databases = await findDatabaseLeaks();
    await stopTestServices();
    const leaks = [...databases, ...(await findLeaks(before))];
    await endRun();
    failOnHang();
    if (leaks.length > 0) throw new Error(`The tests left something behind:\n  ${leaks.join('\n  ')}`);
  },
};

/** mocha runs without --exit: what keeps the process alive after the tests is a leak, and is named instead of awaited. */
function failOnHang(): void {
  const timer = setTimeout(() => {
    const kinds = process.getActiveResourcesInfo().join(', ');
    writeSync(2, `\nThe test process does not end by itself. Still active: ${kinds}\n`);
    // mocha sets the code in a listener of its own, so the last one to do it wins.
    process.on('exit', () => {
      process.exitCode = 1;
    });
    process.exit(1);
  }, EXIT_MS);
  timer.unref();
}
