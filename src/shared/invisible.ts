/**
 * What nobody sees and a reader obeys: controls of terminals (C0, C1), of the direction of writing, of joining and hiding,
 * separators of lines, halves of characters. The selectors U+FE00 to U+FE0F stay: they choose how the emoji before them looks.
 */
const INVISIBLE = /(?![\uFE00-\uFE0F])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
/** Makes what is invisible visible: `\x1b`, `\u202e`, `\u{e0041}`. Line ends too. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const digits = code.toString(16);
    if (code <= 0xff) return `\\x${digits.padStart(2, '0')}`;
    return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\u{${digits}}`;
  });
}

/**
 * Writes what is invisible in a JSON text as escapes (RFC 8259, 7): the same value, and nothing that a terminal, a log or a
 * page obeys when somebody looks at it.
 */
export function escapeInvisibleJson(json: string): string {
  return json.replace(INVISIBLE, (character) => {
    // Between the tokens of JSON these stand for themselves, and nowhere else.
    if (character < ' ') return character;
    return Array.from(
      { length: character.length },
      (_, unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`,
    ).join('');
  });
}
