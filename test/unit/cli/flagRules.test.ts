import { Command } from 'commander';
import { expect } from 'chai';
import { FLAG_RULES, pathOf } from '../../../src/cli/flagRules.js';
import { createProgram } from '../../../src/cli/program.js';
import { systemClock } from '../../../src/shared/clock.js';

describe('The rules of which options go together', () => {
  it('name commands and options that exist', () => {
    const io = {
      out: () => undefined,
      err: () => undefined,
      terminal: false,
      columns: () => 80,
      env: {},
      projectDir: '/nowhere',
      clock: systemClock,
      signal: new AbortController().signal,
    };
    const all = new Map<string, Command>();
    const walk = (command: Command) => {
      for (const each of command.commands) {
        all.set(pathOf(each), each);
        walk(each);
      }
    };
    walk(createProgram(io, false));
    for (const [path, rules] of Object.entries(FLAG_RULES)) {
      const options = all.get(path)?.options.map(({ long }) => long);
      for (const { flag, needs = [], not = [] } of rules)
        for (const each of [flag, ...needs, ...not]) expect(options, `${path} ${each}`).to.include(each);
    }
  });
});
