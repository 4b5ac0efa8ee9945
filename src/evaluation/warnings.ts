/** What loaders complain of, passed on once: the first pictures by name, then how many more. */
import type { Loader } from "../data/loader.ts";

/** So many broken pictures are named; a large dataset may have thousands. */
const NAMED = 20;

/** A function that tells `onWarning` what the loaders have met since it was last called. */
export function tellWarnings(
  loaders: readonly Pick<Loader, "warnings">[],
  onWarning: (message: string) => void,
): () => void {
  const told = loaders.map(() => 0);
  return () => {
    for (const [i, { warnings }] of loaders.entries()) {
      const before = told[i] ?? 0;
      for (const message of warnings.slice(before, NAMED)) onWarning(message);
      const more = warnings.length - Math.max(before, NAMED);
      if (more > 0) onWarning(`${more} more pictures cannot be read, ${warnings.length} so far`);
      told[i] = warnings.length;
    }
  };
}
