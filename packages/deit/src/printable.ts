/**
 * Names of files, classes, tensors and options come from anywhere. What could move the cursor, hide or reverse text when it
 * is shown is shown as a sign instead: ␛ for the escape character, ⟨U+202E⟩ for the right-to-left override.
 */

/**
 * Controls (but tab and line feed), separators of lines, marks of direction, what has no width (but the joiners of emoji and
 * of scripts that need them), tags, halves of pairs.
 */
const HIDDEN = /(?![\t\n\u0600-\u0605\u06dd\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** Of a name, which is one line. */
const BREAKS = /[\t\n]/g;

/** Text of several lines, safe to show in terminals, HTML and SVG; what is visible stays as it is. */
export function printable(text: string): string {
  return text.replaceAll(HIDDEN, sign);
}

/** A name as one line; else as it is, so colours may stand in it. */
export function oneLine(name: string): string {
  return name.replaceAll(BREAKS, sign);
}

/** A path as one word of a command line, quoted where a shell would take it for several words or for more than a name. */
export function shellWord(path: string): string {
  if (/^[\p{L}\p{N}_./:@%+=,-][\p{L}\p{M}\p{N}_./:@%+=,~-]*$/u.test(path)) return path;
  return /["$`!]/.test(path) ? `'${path.replaceAll("'", String.raw`'\''`)}'` : `"${path}"`;
}

/** Characters of a value that are shown in a message. */
const LONGEST = 120;

/** A value for a message, as JSON; not all of a long one. */
export function shownValue(value: unknown): string {
  if (typeof value === "number") return String(value);
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  } catch {
    return "something that is nested too deeply, or holds itself"; // JSON.stringify goes through all of it
  }
}

/** JSON text with the same characters as \u escapes: the same value, safe to show. */
export function printableJson(json: string): string {
  return json.replaceAll(HIDDEN, (character) =>
    Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

function sign(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** Names as Markdown shows them: no markup, no HTML, no links, one line. */
export function markdownText(name: string): string {
  return oneLine(printable(name))
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/[\\`*_[\]|~#!$]/g, String.raw`\$&`)
    .replaceAll("://", "&#58;//")
    .replaceAll(/\b(www)\./gi, "$1&#46;")
    .replaceAll("@", "&#64;")
    .replace(/^(\s*)([-+]|\d+(?=[.)]))/, String.raw`$1\$2`);
}
