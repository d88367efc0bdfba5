// The data path: all that other folders may use of it. It knows no database and no queue.
export {
  contentId,
  createDigestWriter,
  type DigestHeader,
  type DigestRun,
  effectiveDigests,
  mergeIndexes,
  openDigestIndex,
  readDigestIndex,
} from './digests/index.js';
export { contentIdOfImage, differencesOfImage, type ReadBack } from './engine/contentIdOfImage.js';
export type { AuditResult } from './audit/auditTracker.js';
export { type ChangesResult, type CopyChanges, copyChanges } from './engine/copyChanges.js';
export { type CopyDifferences, copyDifferences } from './engine/copyDifferences.js';
export { type CopyFull, copyFull } from './engine/copyFull.js';
export { copyFileWhole } from './engine/copyFileWhole.js';
export { type CopyOut, copyOut } from './engine/copyOut.js';
export { intoImage } from './engine/intoImage.js';
export { type RecoverBlocks, recoverBlocks } from './engine/recoverBlocks.js';
export { extentOf } from './engine/blockRange.js';
export { createHashPool, type HashPool } from './engine/hashPool.js';
export { type ProofStep, type ProveLayer, proveLayer } from './engine/proveLayer.js';
export { createThrottle, type RateLimit, type Throttle } from './engine/throttle.js';
export { underLimit } from './engine/whileUnlimited.js';
export { type IndexLayer, indexLayer } from './engine/indexLayer.js';
export type { LayerJob, LayerResult, Progress } from './engine/types.js';
export {
  isNbdAllowed,
  lookAtFile,
  openSource,
  type OpenSource,
  type SourceDoubt,
  type SourcePolicy,
  type SourceSpec,
} from './sources/index.js';
export { type HeldDevice, holdDevice } from './devices/holdDevice.js';
export { findOpener } from './devices/holders.js';
export { filesBehind, kernelId, storageIds } from './devices/storageIds.js';
export { newSocketPath, removeDeadSockets } from './push/agentSockets.js';
export { type GateAddress, type Gate, openGate, type Traffic } from './push/gate.js';
export { type GateCredentials, readGateCredentials } from './push/gateTls.js';
export { openPushExport, type PushExport } from './push/pushExport.js';
