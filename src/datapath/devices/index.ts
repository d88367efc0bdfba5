export { type HeldDevice, holdDevice } from './holdDevice.js';
export { findOpener } from './holders.js';
export { filesBehind, kernelId, storageIds } from './storageIds.js';
