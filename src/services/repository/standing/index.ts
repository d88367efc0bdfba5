export { type Below, type ImageOnDisk, isSetAside } from './facts.js';
export { readAllImages } from './readAllImages.js';
export { readImages, readPlaces } from './readImages.js';
export { assertFootingKnown, assertNothingStandsOn, heldImages, topsFirst, wholeImages } from './rule.js';
export { isOfNoCatalogue, listSetAside, quarantineDays, readSetAside, type SetAside } from './setAside.js';
