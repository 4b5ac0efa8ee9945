/** How classes are called: which names are the same, which say nothing. Pure. */

/** Spelling aside: "Golden_Retriever" is "golden retriever". */
export function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, " ");
}

/** Numbers, ids and placeholders: "3", "class 3", WordNet's "n01440764". They name nothing that could disagree. */
const CODE = /^(?:[a-z]|id|cls|class|label|category)?[\s_-]*\d+$/i;

/** "cat = Katze, dog = Hund, …": names of one index that are not the same; undefined where there are none, or no names. */
export function differingNames(wanted: readonly string[], given: readonly string[]): string | undefined {
  if ([wanted, given].some((names) => names.every((name) => CODE.test(name.trim())))) return undefined;
  const pairs = wanted.flatMap((name, i) =>
    plainName(name) === plainName(given[i] ?? "") ? [] : [`${name} = ${given[i] ?? "none"}`],
  );
  if (pairs.length === 0) return undefined;
  return [...pairs.slice(0, 3), ...(pairs.length > 3 ? ["…"] : [])].join(", ");
}

/** ImageNet's classes are lists of synonyms. */
export function shortName(name: string): string {
  return name.split(",")[0] ?? name;
}
