import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

/**
 * mocha's spec reporter, which also writes the totals for scripts/test.sh: `<passed> <failed>` to $STRATA_TEST_TOTALS; and touches
 * that name with `.beat` at the end of each test and hook, by which scripts/mocha.sh sees that the run goes on.
 */
export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const file = process.env['STRATA_TEST_TOTALS'];
    const { EVENT_RUN_END, EVENT_TEST_END, EVENT_HOOK_END } = Mocha.Runner.constants;
    const beat = () => {
      if (file) writeFileSync(`${file}.beat`, '');
    };
    runner.on(EVENT_TEST_END, beat).on(EVENT_HOOK_END, beat);
    runner.once(EVENT_RUN_END, () => {
      const { passes, failures } = this.stats;
      if (file) writeFileSync(file, `${passes} ${failures}\n`);
    });
  }
}
