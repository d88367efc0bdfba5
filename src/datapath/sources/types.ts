import type { ImageRef, Sandbox } from '../../qcow2/index.js';
import type { StrataError } from '../../shared/errors.js';
import type { Extent } from '../../shared/extents.js';
import type { NbdTlsOptions } from '../nbd/index.js';

export type { ReadSource as SourceSpec } from '../../shared/sources.js';

/** What the operator allows, from configuration. */
export interface SourcePolicy {
  /** Absolute directories that hold file sources and unix sockets of NBD servers. */
  roots: readonly string[];
  /** NBD servers that may be read; see nbdAllow.ts for the patterns. Empty: none but sockets under the roots. */
  nbdAllow: readonly string[];
  /** A private directory (mode 0700) with a short path, for the unix sockets of servers that Strata starts. */
  scratchDir: string;
  /** Where the tools run that parse images from outside; without one they run as the worker does. */
  sandbox?: Sandbox;
  /** Certificates or keys for `nbds` URIs. */
  nbdTls?: NbdTlsOptions;
  /** Milliseconds for which an NBD server may be silent while it owes an answer; see NbdConnectOptions. */
  nbdTimeoutMs?: number;
}

/** Reads a disk, several reads at a time. */
export interface BlockReader {
  /** Fills `target` from `offset`, in bytes. @throws as NbdClient, or source_missing */
  read(offset: number, target: Buffer): Promise<void>;
  /** Ends this reader; outstanding reads end within a second, most of them with `reason`. The source can be connected again. */
  destroy(reason: Error): void;
}

/** A range of the disk and whether it is known to read as zero. */
export interface KnownRange extends Extent {
  zero: boolean;
}

/** An opened and checked source. Nothing runs and nothing is connected until it is asked for something. */
export interface OpenSource {
  /** Size of the disk in bytes: a multiple of 512, above 0. */
  readonly sizeBytes: number;
  /** QEMU has marked the image as corrupt (QCOW2): it is read as far as that goes. */
  readonly corrupt?: boolean;
  /** What the source is. Not usable by the QEMU tools where `nativeOnly` is true. */
  readonly imageRef: ImageRef;
  /**
   * What a QEMU tool reads that also writes elsewhere: the source itself, or a server in a sandbox that parses it. Until
   * `release`.
   */
  toolRef(): Promise<ImageRef>;
  /**
   * Only Strata's own client reads it: an NBD server, which is foreign. A QEMU tool waits for it for ever, takes replies
   * that lack data for whole ones, ends by itself under some block sizes (QEMU 7.2), and cannot be given the secrets of `nbds`.
   */
  readonly nativeOnly: boolean;
  /** The export does not offer the dirty bitmap that its spec names: nobody knows what has changed. */
  readonly bitmapMissing: boolean;
  /** What a failure to read the source's bytes means: for an image of Strata's own, the repository may be gone. */
  readonly readError: (error: unknown) => StrataError;
  /** Readers that may be used side by side: one, or several connections to a server that allows it. */
  connect(): Promise<readonly BlockReader[]>;
  /** What is known about a range, in order and without gaps. `zero: false` means that it must be read. */
  status(range: Extent): AsyncIterable<KnownRange>;
  /** The ranges that are not known to read as zero, in order. */
  allocated(): AsyncIterable<Extent>;
  /**
   * The ranges that a dirty bitmap calls changed, in order.
   * @throws bitmap_missing when the export does not offer it
   */
  changed(bitmap: string, options?: { signal?: AbortSignal }): AsyncIterable<Extent>;
  /**
   * Asked after the last read, and before anything that was read is believed.
   * @throws source_changed where a file source was written to since it was opened, or its lock was lost
   */
  assertUnchanged(): Promise<void>;
  /** Closes connections and servers, so that another program may connect; they are opened again when needed. */
  release(): Promise<void>;
  /** As `release`, for good. Never rejects for what a reader has already seen. */
  close(): Promise<void>;
}
