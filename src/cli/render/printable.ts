import { showInvisible } from '../../shared/invisible.js';

/**
 * Makes control characters visible (`\x1b`, `\u202e`), line ends too: what comes from outside must not steer a terminal, nor
 * look like something else on it.
 */
export function printable(text: string): string {
  return showInvisible(text);
}

/** The same for text of several lines, such as the message of a tool: line ends stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
