import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { diskRequests } from '../../../src/cli/backupDisks.js';
import { parseDiskSource, parseSource } from '../../../src/cli/diskSpec.js';
import { renderError, renderProblem } from '../../../src/cli/errorReport.js';
import { readExtentFile } from '../../../src/cli/extentFile.js';
import { checkId } from '../../../src/cli/idArgument.js';
import { keepText, parseKeep } from '../../../src/cli/commands/policy.js';
import { parseSize } from '../../../src/cli/numbers.js';
import { completionScript } from '../../../src/cli/commands/completion.js';
import { isStrataError, StrataError } from '../../../src/shared/errors.js';
import type { ErrorCode } from '../../../src/shared/errorCodes.js';

function codeOf(work: () => unknown): ErrorCode | 'none' {
  try {
    work();
    return 'none';
  } catch (error) {
    if (isStrataError(error)) return error.code;
    throw error;
  }
}

describe('arguments of the CLI', () => {
  it('takes the format of a file from its extension or from --format, never from its content', () => {
    expect(parseSource('/d/a.QCOW2')).to.deep.equal({ type: 'file', path: '/d/a.QCOW2', format: 'qcow2' });
    expect(parseSource('/d/a.img')).to.include({ format: 'raw' });
    expect(parseSource('/d/a.vhd')).to.include({ format: 'vpc' });
    expect(parseSource('/d/a.img', { format: 'qcow2' })).to.include({ format: 'qcow2' });
    expect(codeOf(() => parseSource('/d/a.iso'))).to.equal('unknown_format');
    expect(codeOf(() => parseSource('/d/a.img', { format: 'luks' }))).to.equal('unknown_format');
  });

  it('makes a relative path absolute and takes NBD URIs as they are', () => {
    expect(parseSource('a.raw')).to.deep.include({ path: join(process.cwd(), 'a.raw') });
    expect(parseSource('nbd://host/x', { bitmap: 'b0' })).to.deep.equal({
      type: 'nbd',
      uri: 'nbd://host/x',
      bitmap: 'b0',
    });
    expect(codeOf(() => parseSource('nbd://host/x', { format: 'raw' }))).to.equal('invalid_request');
    expect(codeOf(() => parseSource('http://host/x.raw'))).to.equal('invalid_request');
  });

  it('reads the disk id before a source, and 0 without one', () => {
    expect(parseDiskSource('10=/d/a.raw')).to.deep.equal({ diskId: 10, source: '/d/a.raw' });
    expect(parseDiskSource('/d/1=2.raw')).to.deep.equal({ diskId: 0, source: '/d/1=2.raw' });
  });

  it('puts disks and sources together, and gives change facts to one disk only', () => {
    expect(diskRequests({}, undefined)).to.deep.equal([]);
    expect(diskRequests({ disk: ['10', '1'] }, undefined)).to.deep.equal([{ disk_id: 1 }, { disk_id: 10 }]);
    expect(diskRequests({ disk: ['3'], source: ['/d/a.raw'] }, undefined)[0]).to.deep.include({ disk_id: 3 });
    const extents = [{ offset: 0, length: 1 }];
    expect(diskRequests({ disk: ['0'], sinceChangeId: 'x' }, { extents })).to.deep.equal([
      { disk_id: 0, since_change_id: 'x', changed_extents: extents },
    ]);
    const follow = { type: 'text/plain' as const, open: async function* () {} };
    expect(diskRequests({ disk: ['0'] }, { follow })).to.deep.equal([{ disk_id: 0, extents_follow: true }]);
    expect(codeOf(() => diskRequests({ disk: ['1', '1'] }, undefined))).to.equal('invalid_request');
    expect(codeOf(() => diskRequests({ source: ['/a.raw', '0=/b.raw'] }, undefined))).to.equal(
      'invalid_request',
    );
    expect(codeOf(() => diskRequests({ changeId: 'x' }, undefined))).to.equal('invalid_request');
    expect(codeOf(() => diskRequests({ disk: ['-1'] }, undefined))).to.equal('invalid_request');
  });

  it('gives --bitmap to the named disks, the registered NBD sources too, and refuses it where nothing would hear it', () => {
    const nbd = { type: 'nbd' as const, uri: 'nbd://host/x', bitmap: 'old' };
    const registered = [
      { disk_id: 0, source: nbd },
      { disk_id: 1, source: { type: 'file' as const, path: '/d/a.raw', format: 'raw' as const } },
      { disk_id: 2, source: null },
    ];
    const requests = (flags: Parameters<typeof diskRequests>[0]) =>
      diskRequests(flags, undefined, registered);
    expect(requests({ disk: ['0'], bitmap: 'b0', sinceChangeId: 'x' })).to.deep.equal([
      { disk_id: 0, source: { ...nbd, bitmap: 'b0' }, since_change_id: 'x' },
    ]);
    expect(requests({ disk: ['0'], source: ['3=nbd://host/y'], bitmap: 'b0' })).to.deep.equal([
      { disk_id: 0, source: { ...nbd, bitmap: 'b0' } },
      { disk_id: 3, source: { type: 'nbd', uri: 'nbd://host/y', bitmap: 'b0' } },
    ]);
    for (const flags of [
      { bitmap: 'b0' },
      { disk: ['1'], bitmap: 'b0' },
      { disk: ['2'], bitmap: 'b0' },
      { disk: ['9'], bitmap: 'b0' },
      { disk: ['0'], format: 'raw' },
    ])
      expect(
        codeOf(() => requests(flags)),
        JSON.stringify(flags),
      ).to.equal('invalid_request');
  });

  it('reads sizes in powers of 1024', () => {
    expect(['4096', '512MiB', '1.5G', '10 KB'].map(parseSize)).to.deep.equal([
      4096, 536_870_912, 1_610_612_736, 10_240,
    ]);
    expect(() => parseSize('many')).to.throw('A size is like');
  });

  it('reads change lists as JSON and as lines, and names the line that is none', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'cli-'));
    const path = join(dir, 'list');
    const read = async (text: string) => {
      await writeFile(path, text);
      return readExtentFile(path).catch((error: StrataError) => error.message);
    };
    try {
      expect(await read('[{"offset":0,"length":512}]')).to.deep.equal({
        extents: [{ offset: 0, length: 512 }],
      });
      expect(await read('# changed\n0 512\n\n1024\t8\n')).to.deep.equal({
        extents: [
          { offset: 0, length: 512 },
          { offset: 1024, length: 8 },
        ],
      });
      expect(await read('0 512\nx')).to.equal('Line 2 of the change list is not "offset length".');
      expect(await read('[{"offset":"0"}]')).to.equal('Entry 0 of the change list has no offset and length.');
      expect(await read('[')).to.equal('The change list is not JSON.');
      const long = await read(`\n [${' '.repeat(5 << 20)}]`);
      expect(long, 'a long one is sent as it is').to.have.nested.property('follow.type', 'application/json');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('writes an error with its code, its fields and what to do next', () => {
    const error = new StrataError('api_unreachable', 'The API does not answer.', {
      fields: [{ field: 'disks[0].disk_id', message: 'must be an integer\u001B[0m' }],
    });
    expect(renderError(error)).to.equal(
      'error: The API does not answer. [api_unreachable]\n' +
        '  disks[0].disk_id: must be an integer\\x1b[0m\n' +
        'hint: Is it running? Start it with: strata up. Look with: strata status.\n',
    );
    expect(JSON.parse(renderProblem(error))).to.deep.include({
      code: 'api_unreachable',
      exit_code: 7,
      status: 503,
    });
  });

  it('says of a path that is not allowed what it was for', () => {
    const hint = (field?: string) =>
      renderError(new StrataError('path_not_allowed', 'No.', field === undefined ? {} : { field })).split(
        'hint: ',
      )[1];
    expect(hint('disks[0].source.path'))
      .to.match(/^Allow a source with/)
      .and.not.to.contain('RESTORE');
    expect(hint('source.path')).to.match(/^Allow a source with/);
    expect(hint('target.path'))
      .to.match(/^Restores write below STRATA_RESTORE_ROOTS/)
      .and.not.to.contain('SOURCE');
    expect(hint('root_path')).to.equal(undefined);
    // Of a job's error the field is not known.
    expect(hint()).to.contain('SOURCE').and.to.contain('RESTORE');
  });

  it('says of what is no id what may be given, and how it is listed', () => {
    const message = (work: () => unknown): string => {
      try {
        work();
        return '';
      } catch (error) {
        return (error as StrataError).message;
      }
    };
    expect(message(() => checkId('nope', 'what', ['restorePoint', 'backup'], 'More.'))).to.equal(
      '"nope" is not the id of a restore point (rp_...) or a backup (bkp_...). ' +
        'List them with: strata points VM, strata list. More.',
    );
    expect(message(() => checkId('rp_1', 'job', ['backup', 'restore', 'maintenance']))).to.match(
      /List them with: strata list, strata jobs\.$/,
    );
    expect(checkId('rp_01jd3k', 'what', ['restorePoint', 'backup'])).to.equal('rp_01jd3k');
    for (const text of ['', 'bkp_', 'bkp_A', 'bkp_1 ', 'xbkp_1', 'bkp_1/../rp_1']) {
      expect(
        codeOf(() => checkId(text, 'what', ['backup'])),
        text,
      ).to.equal('invalid_request');
    }
  });

  it('reads the rules of a policy, and refuses what is not one, or is there twice', () => {
    expect(parseKeep('last=3,daily=0,within=2d')).to.deep.equal({ last: 3, daily: 0, within: '2d' });
    for (const text of [
      '',
      'last',
      'last=',
      'last=-1',
      'last=1.5',
      'last=3=4',
      'last=3,',
      'lst=3',
      'last=1e3',
    ]) {
      expect(() => parseKeep(text), text).to.throw('is not such as daily=7');
    }
    expect(() => parseKeep('last=3,last=5')).to.throw('given twice');
    expect(() => parseKeep('toString=1')).to.throw('is not such as');
    expect([
      keepText(null),
      keepText({}),
      keepText({ last: 0 }),
      keepText({ last: 3, daily: 0 }),
    ]).to.deep.equal(['all', 'all', 'all', 'last=3']);
  });

  it('makes a completion script that offers subcommands and options', () => {
    const script = completionScript('bash', [
      { path: [], words: ['repo', '--json', '--help'] },
      { path: ['repo'], words: ['add', '--help'] },
      { path: ['repo', 'add'], words: ['--pool', '--help'] },
    ]);
    expect(script).to.contain("'repo add') words='--pool --help --json' ;;");
    expect(script).to.contain("'') words='repo --json --help' ;;");
  });
});
