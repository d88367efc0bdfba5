import { isAbsolute, join, relative } from 'node:path';

/**
 * Where a backing name leads, relative to the repository's root. Pure: names are compared, links are not followed.
 * @param image path of the image that has the name, relative to the root
 */
export function backingPath(root: string, image: string, name: string): string {
  return isAbsolute(name) ? relative(root, name) : join(image, '..', name);
}
