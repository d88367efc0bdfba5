#!/usr/bin/env node
// Makes a change list for Strata, lines of `offset length` in bytes, of the answers of VMware's QueryChangedDiskAreas: one
// DiskChangeInfo a line, as JSON, on standard input. The answers must cover the disk: one that is missing would be a part of
// the disk whose changes are lost without a word.
// Usage: changed-areas.mjs CAPACITY_IN_BYTES < answers.jsonl > changes.txt
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

/**
 * @param pages DiskChangeInfo: {startOffset, length, changedArea?: [{start, length}]}, in the order in which they were asked
 * @param capacity of the disk in the snapshot, in bytes
 */
export function changedAreas(pages, capacity) {
  const areas = [];
  let covered = 0;
  for (const { startOffset, length, changedArea = [] } of pages) {
    if (startOffset !== covered)
      throw new Error(`An answer is missing: ${covered} is covered, the next begins at ${startOffset}.`);
    covered = startOffset + length;
    for (const area of changedArea) {
      if (area.start < startOffset || area.start + area.length > covered)
        throw new Error(`The area at ${area.start} lies outside of its answer.`);
      areas.push({ offset: area.start, length: area.length });
    }
  }
  if (covered !== capacity) throw new Error(`The answers cover ${covered} of ${capacity} bytes.`);
  return areas;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const pages = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== '') pages.push(JSON.parse(line));
  }
  const capacity = Number(process.argv[2]);
  for (const { offset, length } of changedAreas(pages, capacity)) console.log(`${offset} ${length}`);
}
