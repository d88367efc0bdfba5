/** Makes control characters visible (`\x1b`), line ends too: what comes from outside must not steer a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** The same for text of several lines, such as the message of a tool: line ends stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
