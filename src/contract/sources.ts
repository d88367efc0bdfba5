import { type Static, Type } from 'typebox';
import { SOURCE_FORMATS } from '../shared/sources.js';
import { closed, oneOf } from './common.js';

export const ImageFormat = oneOf(SOURCE_FORMATS, 'Format of the image; never guessed.');
export type ImageFormat = Static<typeof ImageFormat>;

export const NbdSource = closed(
  {
    type: Type.Literal('nbd'),
    uri: Type.String({
      minLength: 1,
      maxLength: 2048,
      description: '`nbd://`, `nbds://` or `nbd+unix:///`.',
    }),
    bitmap: Type.Optional(
      Type.String({ minLength: 1, maxLength: 191, description: 'Dirty bitmap that the export offers.' }),
    ),
  },
  'An NBD export.',
);

export const FileSource = closed(
  {
    type: Type.Literal('file'),
    path: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'Absolute, under one of STRATA_SOURCE_ROOTS.',
    }),
    format: ImageFormat,
    force_share: Type.Optional(
      Type.Boolean({
        description:
          "Read it without QEMU's lock and although other programs may write to it, as `qemu-img --force-share` does; a restore point of it is completed_with_warnings.",
      }),
    ),
  },
  'An image file or a block device on the hosts of the workers.',
);

export const PushSource = closed(
  { type: Type.Literal('push') },
  'An agent writes the disk to an NBD export that a worker opens (docs/push.md).',
);

/** Where a disk's bytes are read from, or who writes them: the schema of `DiskSource`. */
export const Source = Type.Union([NbdSource, FileSource, PushSource], {
  description: 'Where the bytes are read from.',
});
export type Source = Static<typeof Source>;

/** A source that workers read from. */
export type ReadSource = Exclude<Source, Static<typeof PushSource>>;
