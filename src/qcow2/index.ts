// The QEMU tools, one file per verb. The only folder of Strata that starts a process.
export { type CheckResult, checkImage, repairLeaks } from './check.js';
export { chainInfo } from './info.js';
export { type CommitImage, commitImage } from './commit.js';
export { type CompareResult, compareImages } from './compare.js';
export {
  type CacheMode,
  type ConvertImage,
  type ConvertTarget,
  convertImage,
} from './convert.js';
export { type BackingRef, type CreateImage, createImage } from './create.js';
export type { BitmapInfo, ImageExtentFile, ImageInfo } from './imageInfo.js';
export { IMAGE_FORMATS, type ImageFormat, type ImageRef, isImageFormat } from './imageRef.js';
export { backingNameOf, imageLooksLike, refuseReferences } from './imageHead.js';
export { type FileLock, lockFiles } from './fileLock.js';
export { makeThreadIdle } from './runTool.js';
export { type ForeignFile, type ForeignImage, heldPath, inheritedPath } from './foreignImage.js';
export { imageInfo } from './info.js';
export { namedExtents } from './namedExtents.js';
export { findSandbox, type SandboxFound } from './sandbox/findSandbox.js';
export type { Sandbox } from './sandbox/types.js';
export { inspectUntrusted } from './inspectUntrusted.js';
export { type ResourceLimits, UNTRUSTED_LIMITS } from './limits.js';
export { type MapExtent, type MapOptions, mapImage } from './map.js';
export { type MeasureResult, measureImage } from './measure.js';
export type { NbdServer } from './nbdServer.js';
export type { OnProgress } from './progress.js';
export { type RebaseImage, rebaseImage } from './create.js';
export { resizeImage } from './create.js';
export { nbdUnixUri, type ServeImage, serveImage } from './serve.js';
export { failedRead, failedWrite, lockedFile } from './toolFailure.js';
export { DEADLINES, type ToolOptions } from './toolOptions.js';
export { refuseTruncated } from './truncation.js';
export { toolVersions } from './versions.js';
