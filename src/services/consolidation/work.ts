import type { Place } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Progress } from './progress.js';

/** What every step of a consolidation works with. */
export interface Work extends Under {
  progress: Progress;
  place: Place;
}
