import { expect } from 'chai';
import fc from 'fast-check';
import { printable, printableLines } from '../../../../src/cli/render/printable.js';
import { escapeInvisibleJson } from '../../../../src/shared/invisible.js';
import { formatBytes, formatRate, formatShare } from '../../../../src/cli/render/bytes.js';
import { renderBar, renderPlain } from '../../../../src/cli/render/progressLine.js';
import { renderFields, renderTable } from '../../../../src/cli/render/table.js';
import { formatSeconds, formatTime } from '../../../../src/cli/render/time.js';

describe('text of the CLI', () => {
  it('writes sizes in units of 1024 with one decimal, and exact ones on demand', () => {
    const sizes = [0, 1023, 1024, 65_536, 1_048_575, 1_610_612_736, 3 * 1024 ** 4];
    expect(sizes.map((size) => formatBytes(size))).to.deep.equal([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '64.0 KiB',
      '1.0 MiB',
      '1.5 GiB',
      '3.0 TiB',
    ]);
    expect(formatBytes(1_048_575, true)).to.equal('1048575');
    expect(formatBytes(null)).to.equal('-');
    expect(formatRate(10_485_760.4)).to.equal('10.0 MiB/s');
    expect(formatShare(1, 3)).to.equal('33.3 %');
    expect(formatShare(0, 0)).to.equal('-');
  });

  it('writes times in UTC and durations as a clock', () => {
    expect(formatTime('2025-11-22T23:40:11.123Z')).to.equal('2025-11-22 23:40:11Z');
    expect(formatTime(null)).to.equal('-');
    expect([0.44, 59.9, 60, 125, 3725, Number.NaN].map(formatSeconds)).to.deep.equal([
      '0.4 s',
      '59.9 s',
      '1:00',
      '2:05',
      '1:02:05',
      '-',
    ]);
  });

  it('aligns a table, numbers at the right, absent values as a dash', () => {
    const columns = [
      { title: 'NAME', value: (row: { name: string; size: number | null }) => row.name },
      { title: 'SIZE', value: (row: { size: number | null }) => row.size, align: 'right' as const },
    ];
    const rows = [
      { name: 'größe', size: 5 },
      { name: 'a', size: 12_345 },
      { name: 'none', size: null },
    ];
    expect(renderTable(columns, rows, 'Nothing.')).to.equal(
      'NAME    SIZE\ngröße      5\na      12345\nnone       -\n',
    );
    expect(renderTable(columns, [], 'Nothing.')).to.equal('Nothing.\n');
  });

  it('shows control characters of names instead of letting a terminal obey them', () => {
    expect(renderFields([['name', 'evil\u001B[2J\nline']])).to.equal('name  evil\\x1b[2J\\x0aline\n');
  });

  it('shows what turns the direction of writing or hides, instead of letting it pass for something else', () => {
    const shown: [string, string][] = [
      ['invoice\u202Ecod.exe', 'invoice\\u202ecod.exe'],
      ['\u2066a\u2069\u200E\u200F\u061C', '\\u2066a\\u2069\\u200e\\u200f\\u061c'],
      ['we\u200Bb\u00AD\uFEFF', 'we\\u200bb\\xad\\ufeff'],
      ['a\u2028b\u2029c', 'a\\u2028b\\u2029c'],
      ['a\u{E0041}b', 'a\\u{e0041}b'],
      ['a\uD800b', 'a\\ud800b'],
      ['a\u3164b\u0085', 'a\\u3164b\\x85'],
      ['grüße e\u0301 हिन्दी 日本 ❤\uFE0F 😀', 'grüße e\u0301 हिन्दी 日本 ❤\uFE0F 😀'],
    ];
    for (const [text, expected] of shown) {
      expect(printable(text)).to.equal(expected);
      expect(printableLines(`${text}\n${text}`)).to.equal(`${expected}\n${expected}`);
    }
  });

  it('writes JSON that reads back as it was, and has nothing in it that a terminal obeys', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = escapeInvisibleJson(JSON.stringify({ [text]: [text] }, null, 2));
        expect(JSON.parse(json)).to.deep.equal({ [text]: [text] });
        expect(json.replaceAll('\n', '')).not.to.match(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(printableLines(json)).to.equal(json);
      }),
      { numRuns: 2000 },
    );
  });

  it('draws a bar that never reaches the last column of the terminal', () => {
    const progress = { phase: 'copying', bytes_done: 256, bytes_total: 1024, rate: 128, eta_seconds: 6 };
    expect(renderBar('web01', progress, 200)).to.equal(
      'web01  copying      [██████░░░░░░░░░░░░░░░░░░]  25.0 %  256 B of 1.0 KiB  128 B/s  eta 6.0 s',
    );
    expect([...renderBar('web01', progress, 30)]).to.have.length(29);
  });

  it('writes progress without a total as an amount', () => {
    const progress = { phase: 'reading', bytes_done: 2048, bytes_total: null, rate: null, eta_seconds: null };
    expect(renderPlain('web01', progress)).to.equal('web01  reading 2.0 KiB');
  });
});
