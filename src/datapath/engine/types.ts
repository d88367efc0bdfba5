import type { OpenSource } from '../sources/index.js';
import type { RateLimit } from './throttle.js';

/**
 * Bytes of the guest disk that were dealt with, and of how many. Only grows, unless a copy has to begin again
 * under a new limit; a copy's total is an estimate.
 */
export interface Progress {
  bytesDone: number;
  bytesTotal: number;
}

/** What every operation that writes a layer takes. */
export interface LayerJob {
  source: OpenSource;
  /** Size of the new layer's disk in bytes; the source must have this size. */
  virtualSizeBytes: number;
  /** Absolute temporary path of the digest index to write; must not exist. */
  digestPath: string;
  backupId: string;
  /** Limits the average rate at which the source is read. */
  rate?: RateLimit;
  onProgress?: (progress: Progress) => void;
  signal: AbortSignal;
  /** A private directory (mode 0700) with a short path, for unix sockets. */
  scratchDir: string;
}

export interface LayerResult {
  /** Bytes read from the source. */
  bytesRead: number;
  /** Payload bytes written; zeros cost none. */
  bytesWritten: number;
  /** Blocks of 64 KiB that the layer provides with data, and as zeros. */
  dataBlocks: number;
  zeroBlocks: number;
}
