/**
 * One option, three spellings: `dropPath` in code and files, `--drop-path` on the command line, `drop_path` in
 * DeiT's scripts. And the nearest name for one that does not exist.
 */

/** `dropPath`, `drop_path` → `drop-path`. Leaves kebab case alone. */
export function kebabCase(name: string): string {
  return name
    .replaceAll("_", "-")
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase();
}

/** `drop-path`, `drop_path` → `dropPath`. Leaves camel case alone. */
export function camelCase(name: string): string {
  return name.replaceAll(/[-_]+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Levenshtein distance with transpositions of neighbours counted as one edit. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The name that was probably meant, or undefined when none is near (a third of the letters may be wrong). */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  let found: string | undefined;
  let smallest = Math.max(1, Math.floor(name.length / 3)) + 0.5;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < smallest) [found, smallest] = [candidate, distance];
  }
  return found;
}

/** `Did you mean X?`, or nothing. */
export function didYouMean(
  name: string,
  names: Iterable<string>,
  show: (name: string) => string = (found) => found,
): string {
  const found = nearest(name, names);
  return found === undefined ? "" : `Did you mean ${show(found)}?`;
}
