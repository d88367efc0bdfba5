/** `damaged`: its own file is bad. `suspect`: it stands on a bad one, or could not be read. */
export type Health = 'ok' | 'suspect' | 'damaged';
