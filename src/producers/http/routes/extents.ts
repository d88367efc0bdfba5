import type { Readable } from 'node:stream';
import { BackupParams, ExtentArray, ExtentLines, ExtentsAccepted } from '../../../contract/index.js';
import { StrataError } from '../../../shared/errors.js';
import { acceptExtents } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { EXTENT_LIST_TYPES, readExtentList } from '../extentLists/readBody.js';
import { compileValidator } from '../validation.js';

/** Lists that a process takes at a time, each of which may hold 33 MiB. */
const MOST_UPLOADS = 16;

/** The change list of a backup, too long for the request that asked for it. */
export function extentRoutes(app: Api, deps: HttpDeps): void {
  let uploads = 0;
  // A scope of its own: here a body is a stream, whatever its type.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser([...EXTENT_LIST_TYPES], (_request, body, done) => done(null, body));
    scope.put(
      `${API_PREFIX}/backups/:backup_id/extents`,
      {
        schema: {
          tags: ['backups'],
          summary: 'Send the change list that a backup waits for',
          description:
            'Any order, overlaps allowed, five million extents and more. Taken whole or not at all; the same list may be sent again.',
          params: BackupParams,
          body: {
            content: {
              'text/plain': { schema: ExtentLines },
              'application/json': { schema: ExtentArray },
            },
          },
          response: { 200: ExtentsAccepted },
        },
        // The list is checked as it is read.
        validatorCompiler: (part) => (part.httpPart === 'body' ? () => true : compileValidator(part)),
        config: { access: 'operator' },
      },
      async (request) => {
        const { backup_id } = request.params as { backup_id: string };
        const body = request.body as Readable;
        const type = request.headers['content-type'] ?? '';
        if (uploads >= MOST_UPLOADS) {
          throw new StrataError('backlog_full', `${uploads} change lists are being received already.`);
        }
        uploads++;
        try {
          const read = (take: Parameters<typeof readExtentList>[2]) => readExtentList(body, type, take);
          return await acceptExtents(deps, backup_id, read);
        } finally {
          uploads--;
        }
      },
    );
  });
}
