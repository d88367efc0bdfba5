import { openArgs } from './imageRef.js';
import { type RunToolCall, runTool, type ToolResult } from './runTool.js';
import { countField, fieldOr, jsonObject, optionalField, parseToolJson } from './toolJson.js';
import { toolFailure } from './toolFailure.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

/** What `qemu-img check` found. Counts are clusters. */
export interface CheckResult {
  /** Neither corruption nor leaks, and the check itself went through. */
  clean: boolean;
  /** Above 0, content may be wrong or missing. */
  corruptions: number;
  /** Clusters that nothing refers to: wasted space, no harm. What a killed writer leaves. */
  leaks: number;
  /** Errors of the check itself; above 0, the other numbers are incomplete. */
  checkErrors: number;
  /** End of the last used cluster in the file, in bytes. */
  imageEndOffset?: number;
  allocatedClusters?: number;
  totalClusters?: number;
  fragmentedClusters?: number;
  compressedClusters?: number;
}

/** Exit codes in qemu-img's manual: 0 no errors, 1 check not completed, 2 corruption, 3 leaks only. 63: not supported. */
const RESULTS = [0, 1, 2, 3];

/**
 * Checks the metadata of one QCOW2 file. Its backing file is not opened, so that a missing parent does not hide the
 * state of the child. Corruption is a result, not an exception. Nothing is repaired.
 * @param path absolute
 * @throws file_missing, unknown_format, source_in_use, tool_failed: the file could not be opened, which says nothing
 *   about its content
 */
export async function checkImage(path: string, options: ToolOptions = {}): Promise<CheckResult> {
  const { format, name } = openArgs({ type: 'file', path, format: 'qcow2', noBacking: true }, 'tls0');
  const call: RunToolCall = {
    tool: 'qemu-img',
    args: ['check', '--output=json', '-f', format, name],
    okExitCodes: RESULTS,
    deadlineMs: DEADLINES.wholeImage,
  };
  return toCheckResult(call, await runTool(call, options), options);
}

/**
 * Gives clusters back that nothing refers to. Only for a file that nobody else has open and that nothing kept depends on by
 * more than its content, which stays as it is.
 * @param path absolute
 * @throws as `checkImage`
 */
export async function repairLeaks(path: string, options: ToolOptions = {}): Promise<CheckResult> {
  const { format, name } = openArgs({ type: 'file', path, format: 'qcow2', noBacking: true }, 'tls0');
  const call: RunToolCall = {
    tool: 'qemu-img',
    args: ['check', '-r', 'leaks', '--output=json', '-f', format, name],
    okExitCodes: RESULTS,
    deadlineMs: DEADLINES.wholeImage,
  };
  return toCheckResult(call, await runTool(call, options), options);
}

function toCheckResult(
  call: RunToolCall,
  { exitCode, stdout, stderr }: ToolResult,
  options: ToolOptions,
): CheckResult {
  if (stdout.trim() === '') {
    // Exit code 1 without a report: the file could not even be opened.
    const exit = { exitCode, signal: undefined, stderr, stopped: undefined, spawnError: undefined };
    throw toolFailure(call, exit, options.limits !== undefined);
  }
  const report = jsonObject(parseToolJson(stdout), 'check');
  const corruptions = fieldOr(report, 'corruptions', countField, 0);
  const leaks = fieldOr(report, 'leaks', countField, 0);
  const checkErrors = fieldOr(report, 'check-errors', countField, 0);
  return {
    clean: exitCode === 0 && corruptions + leaks + checkErrors === 0,
    corruptions,
    leaks,
    checkErrors,
    ...optionalField(report, 'image-end-offset', countField, (imageEndOffset) => ({ imageEndOffset })),
    ...optionalField(report, 'allocated-clusters', countField, (allocatedClusters) => ({
      allocatedClusters,
    })),
    ...optionalField(report, 'total-clusters', countField, (totalClusters) => ({ totalClusters })),
    ...optionalField(report, 'fragmented-clusters', countField, (fragmentedClusters) => ({
      fragmentedClusters,
    })),
    ...optionalField(report, 'compressed-clusters', countField, (compressedClusters) => ({
      compressedClusters,
    })),
  };
}
