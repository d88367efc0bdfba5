import { expect } from 'chai';
import { verdictOn } from '../../../src/qcow2/inspectUntrusted.js';
import { toolFailure } from '../../../src/qcow2/toolFailure.js';
import { StrataError } from '../../../src/shared/errors.js';

const CALL = { tool: 'qemu-img' as const, args: ['info', '/x'], deadlineMs: 1000 };
const EXIT = { exitCode: 1, signal: undefined, stderr: '', stopped: undefined, spawnError: undefined };

const verdict = (exit: Partial<Parameters<typeof toolFailure>[1]>) =>
  verdictOn(toolFailure(CALL, { ...EXIT, ...exit }, true));

describe('The verdict on an image from outside', () => {
  // As QEMU 7.2 prints them with LC_ALL=C.
  for (const stderr of [
    "qemu-img: Could not open '/x': qcow2 header too short",
    "qemu-img: Could not open '/x': Could not open '/x': Invalid argument",
    "qemu-img: Could not open '/x': File is too small, not a valid image",
    "qemu-img: Could not open '/x': No such file or directory",
  ]) {
    it(`is source_missing where QEMU says ${JSON.stringify(stderr)}`, () => {
      expect(verdict({ stderr })).to.equal('source_missing');
    });
  }

  for (const stderr of [
    "qemu-img: Could not open '/x': Could not read qcow2 header: Input/output error",
    "qemu-img: Could not open '/x': Too many open files",
    'qemu-img: Failed to initialize event notifier: Too many open files',
    'qemu-img: error while loading shared libraries: libnuma.so.1: cannot open shared object file: Error 24',
    "qemu-img: Could not open '/x': Stale file handle",
    '',
  ]) {
    it(`is not given, so that the job is tried again, where QEMU says ${JSON.stringify(stderr)}`, () => {
      expect(verdict({ stderr })).to.equal(undefined);
      expect(toolFailure(CALL, { ...EXIT, stderr }, true).outcome).to.equal('retry');
    });
  }

  it('is not given on a tool that could not be started, was told to end, or waited for too long', () => {
    const spawnError = new Error('spawn setpriv EMFILE');
    expect(verdict({ exitCode: undefined, spawnError })).to.equal(undefined);
    expect(verdict({ exitCode: undefined, signal: 'SIGTERM', stderr: "Could not open '/x'" })).to.equal(
      undefined,
    );
    const stalled = new StrataError('tool_timeout', 'qemu-img info did not finish.');
    expect(verdictOn(stalled)).to.equal(undefined);
    expect(stalled.outcome).to.equal('retry');
  });

  it('is that of its limits where it exceeded them', () => {
    expect(toolFailure(CALL, { ...EXIT, exitCode: undefined, signal: 'SIGXCPU' }, true).code).to.equal(
      'source_too_complex',
    );
  });
});
