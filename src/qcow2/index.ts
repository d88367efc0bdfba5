// The QEMU tools, a file for a verb or for verbs that belong together. The only folder of Strata that starts a process.
export { checkImage, type CheckResult, repairLeaks } from './check.js';
export { type CommitImage, commitImage } from './commit.js';
export { compareImages, type CompareResult } from './compare.js';
export { type CacheMode, convertImage, type ConvertImage, type ConvertTarget } from './convert.js';
export {
  type BackingRef,
  createImage,
  type CreateImage,
  type RebaseImage,
  rebaseImage,
  resizeImage,
} from './create.js';
export { type FileLock, lockFiles } from './fileLock.js';
export { type ForeignFile, type ForeignImage, heldPath, inheritedPath } from './foreignImage.js';
export { backingNameOf, imageLooksLike, refuseReferences } from './imageHead.js';
export type { BitmapInfo, ImageExtentFile, ImageInfo } from './imageInfo.js';
export { IMAGE_FORMATS, type ImageFormat, type ImageRef, isImageFormat } from './imageRef.js';
export { chainInfo, imageInfo } from './info.js';
export { inspectUntrusted } from './inspectUntrusted.js';
export { type ResourceLimits, UNTRUSTED_LIMITS } from './limits.js';
export { type MapExtent, mapImage, type MapOptions } from './map.js';
export { measureImage, type MeasureResult } from './measure.js';
export { namedExtents } from './namedExtents.js';
export type { NbdServer } from './nbdServer.js';
export type { OnProgress } from './progress.js';
export { makeThreadIdle } from './runTool.js';
export { findSandbox, type SandboxFound } from './sandbox/findSandbox.js';
export type { Sandbox } from './sandbox/types.js';
export { nbdUnixUri, type ServeImage, serveImage } from './serve.js';
export { failedRead, failedWrite, lockedFile } from './toolFailure.js';
export { DEADLINES, type ToolOptions } from './toolOptions.js';
export { refuseTruncated } from './truncation.js';
export { toolVersions } from './versions.js';
