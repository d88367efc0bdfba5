export { type Below, type ImageOnDisk, isQuarantined } from './facts.js';
export { readAllImages } from './readImages.js';
export { readImages, readImagesAt } from './readImages.js';
export { assertFootingKnown, assertNothingStandsOn, heldImages, topsFirst, wholeImages } from './rule.js';
export {
  isOfNoCatalogue,
  listQuarantined,
  quarantineDays,
  readQuarantined,
  type Quarantined,
} from './quarantined.js';
