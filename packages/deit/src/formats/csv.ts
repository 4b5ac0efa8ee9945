/** Tables for other programs: fields are quoted where they have to be (RFC 4180), lines end in \n. */

export function csv(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.map(field).join(",")}\n`).join("");
}

/** Some readers take spaces at the ends of a field away unless it is quoted. */
function field(value: string | number): string {
  const text = String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
