import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

/** mocha's spec reporter, which also writes the totals for scripts/test.sh: `<passed> <failed>` to $STRATA_TEST_TOTALS. */
export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const file = process.env['STRATA_TEST_TOTALS'];
      const { passes, failures } = this.stats;
      if (file) writeFileSync(file, `${passes} ${failures}\n`);
    });
  }
}
