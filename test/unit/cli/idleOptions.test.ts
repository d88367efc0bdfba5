import { expect } from 'chai';
import { runCli } from '../../../src/cli/index.js';
import { systemClock } from '../../../src/shared/clock.js';

/** Runs a command line whose API must not be asked; returns the exit code and what it said. */
async function run(line: string): Promise<{ code: number; said: string; asked: number }> {
  let said = '';
  let asked = 0;
  const code = await runCli(line.split(' '), {
    out: (text) => (said += text),
    err: (text) => (said += text),
    terminal: false,
    columns: () => 80,
    env: { STRATA_URL: 'http://127.0.0.1:9', STRATA_TOKEN: 't', STRATA_DATA_DIR: '/nonexistent' },
    projectDir: '/nonexistent',
    clock: systemClock,
    signal: new AbortController().signal,
    fetch: () => {
      asked++;
      return Promise.reject(new Error('The API was asked.'));
    },
  });
  return { code, said, asked };
}

describe('An option that would do nothing', () => {
  for (const [line, word] of [
    ['backup web01 --type full --disk 0 --bitmap b0', '--bitmap'],
    ['backup web01 --type full --disk 0 --since-change-id a', '--since-change-id'],
    ['backup web01 --type full --disk 0 --changed-extents list', '--changed-extents'],
    ['backup web01 --type full --on-broken-chain fail', '--on-broken-chain'],
    ['delete bkp_1 --repo main', '--repo'],
    ['delete rp_1 --yes', '--yes'],
    ['delete main --all-of-repo --repo main --yes', '--repo'],
    ['delete web01 --all-of-vm --all-of-repo --yes', '--all-of-vm'],
    ['delete bkp_1 --dry-run --wait', '--wait'],
    ['validate --repository main --repo main', '--repo'],
    ['validate chn_1 --repo main', '--repo'],
    ['policy add nightly --repo main', '--repo'],
    ['vm add web01 --repo main --disk nbd://host/x --format raw', '--format'],
    ['vm add web01 --repo main --format raw', '--format'],
  ] as const) {
    it(`is refused before anything is asked of the API: strata ${line}`, async () => {
      const { code, said, asked } = await run(line);
      expect({ code, asked }).to.deep.equal({ code: 2, asked: 0 });
      expect(said).to.include(word);
    });
  }
});
