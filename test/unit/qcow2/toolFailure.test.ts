import { expect } from 'chai';
import { toolFailure } from '../../../src/qcow2/toolFailure.js';

const CALL = { tool: 'qemu-img', args: ['info', '/x'], deadlineMs: 1000 } as const;
const EXIT = { exitCode: 1, signal: undefined, stderr: '', stopped: undefined, spawnError: undefined };

describe('toolFailure', () => {
  // As QEMU 7.2 prints them with LC_ALL=C.
  for (const [stderr, code] of [
    ['qemu-img: error while writing at byte 1835008: No space left on device\n', 'no_space'],
    ['qemu-img: error while writing at byte 0: Disk quota exceeded\n', 'no_space'],
    [
      `qemu-img: Could not open '/x': Failed to get shared "write" lock\nIs another process using the image [/x]?\n`,
      'source_in_use',
    ],
    [`qemu-nbd: Failed to blk_new_open '/x': Failed to get "write" lock\n`, 'source_in_use'],
    ["qemu-img: Could not open '/x': Could not open '/x': No such file or directory\n", 'file_missing'],
    [
      "qemu-img: Could not open 'nbd+unix:///?socket=/s': Failed to connect to '/s': No such file or directory\n",
      'nbd_connection_lost',
    ],
    [
      "qemu-img: Could not open 'nbd+unix:///?socket=/s': Failed to read initial magic: Unexpected end-of-file before all data were read\n",
      'nbd_connection_lost',
    ],
    ["qemu-img: Could not open '/x': Unknown driver 'zzz'\n", 'unknown_format'],
    ["qemu-img: Could not open '/x': Image is not in qcow2 format\n", 'unknown_format'],
    ["qemu-img: Backing file 'a' creates an infinite loop.\n", 'chain_broken'],
    ['qemu-img: something new\n', 'tool_failed'],
    ['', 'tool_failed'],
  ] as const) {
    it(`takes ${JSON.stringify(stderr.slice(0, 70))} for ${code}`, () => {
      expect(toolFailure({ ...CALL, args: [...CALL.args] }, { ...EXIT, stderr }, false).code).to.equal(code);
    });
  }

  it('takes a death under limits for the fault of the image, and only under limits', () => {
    const killed = { ...EXIT, exitCode: undefined, signal: 'SIGKILL' };
    expect(toolFailure({ ...CALL, args: [...CALL.args] }, killed, true).code).to.equal('source_too_complex');
    expect(toolFailure({ ...CALL, args: [...CALL.args] }, killed, false).code).to.equal('tool_failed');
  });

  it('says the last words of the tool on one line, without its warnings', () => {
    const stderr = 'qemu-img: warning: old\nqemu-img: Could not open\nCould not open backing image.\n';
    const { message } = toolFailure({ ...CALL, args: [...CALL.args] }, { ...EXIT, stderr }, false);
    expect(message).to.equal(
      'qemu-img info failed with exit code 1: qemu-img: Could not open Could not open backing image.',
    );
  });
});
