import { expect } from 'chai';
import { createProgressRule, LOOKS, type Look } from '../../../../src/datapath/nbd/progressRule.js';

const TIMEOUT_MS = 10_000;
/** 512 bytes for each second of the timeout. */
const FLOOR = 5_120;

/** What the rule says after each of the looks. */
function judge(looks: readonly Look[]): (string | undefined)[] {
  const rule = createProgressRule(TIMEOUT_MS);
  return looks.map((look) => rule.look(look));
}

const series = (count: number, at: (n: number) => Partial<Look>): Look[] =>
  Array.from({ length: count }, (_, n) => ({ owes: true, answers: 0, movedBytes: 0, ...at(n) }));

describe('The floor of progress of an NBD server', () => {
  it('ends a server that sends nothing, after the looks of the time and not before', () => {
    const said = judge(series(LOOKS + 1, () => ({})));
    expect(said.slice(0, LOOKS)).to.deep.equal(Array(LOOKS).fill(undefined));
    expect(said[LOOKS]).to.match(/silent for 10000 ms/);
  });

  it('ends a server that sends a byte now and then, although it is never silent', () => {
    const said = judge(series(LOOKS + 1, (n) => ({ movedBytes: n })));
    expect(said.at(-1)).to.match(/finished no answer within 10000 ms, and moved 5 bytes/);
  });

  it('never ends a server that is slow and whose answers come, or whose bytes do', () => {
    const answering = series(100, (n) => ({ answers: Math.floor(n / (LOOKS - 1)) }));
    expect(judge(answering).filter((said) => said !== undefined)).to.deep.equal([]);
    const moving = series(100, (n) => ({ movedBytes: Math.ceil(n * (FLOOR / (LOOKS - 1))) }));
    expect(judge(moving).filter((said) => said !== undefined)).to.deep.equal([]);
  });

  it('does not count the time in which nothing is owed', () => {
    const idle = series(50, () => ({ owes: false }));
    expect(judge([...idle, ...series(LOOKS, () => ({}))]).filter((said) => said !== undefined)).to.deep.equal(
      [],
    );
  });
});
