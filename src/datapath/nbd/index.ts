// The NBD client library: all that other folders may use of it.
export { connectNbd, REQUEST_TIMEOUT_MS } from './connect.js';
export { ALLOCATION, BASE_ALLOCATION, DIRTY_BITMAP, DIRTY_BITMAP_PREFIX } from './constants.js';
export { listExports, listMetaContexts, type NbdExportEntry, type NbdListOptions } from './listExports.js';
export type {
  BlockStatus,
  NbdBlockLimits,
  NbdClient,
  NbdConnectOptions,
  NbdExportFlags,
  NbdRequestOptions,
  NbdTlsOptions,
  StatusExtentsOptions,
} from './types.js';
export { type NbdAddress, parseNbdUri } from './uri.js';
