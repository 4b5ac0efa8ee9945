/** What has become of the images of a run since it began, as data and in words. Pure. */

/** Images of one kind of change. */
export interface ChangedImages {
  readonly count: number;
  /** The first of them. */
  readonly names: readonly string[];
}

/** What has become of a run's images. */
export interface ImageChanges {
  readonly added: ChangedImages;
  readonly missing: ChangedImages;
  /** In another class or folder: they keep their part, or are left out where that cannot be. */
  readonly moved: ChangedImages;
  readonly relabelled: ChangedImages;
}

export const NO_CHANGES: ImageChanges = {
  added: { count: 0, names: [] },
  missing: { count: 0, names: [] },
  moved: { count: 0, names: [] },
  relabelled: { count: 0, names: [] },
};

/** A sentence for each kind of change. */
export function describeChanges({ added, missing, moved, relabelled }: ImageChanges, run: string): string[] {
  const images = ({ count }: ChangedImages): string =>
    `${count.toLocaleString("en-US")} ${count === 1 ? "image" : "images"}`;
  const names = ({ names: first, count }: ChangedImages): string =>
    `${first.join(", ")}${count > first.length ? ", …" : ""}`;
  const kinds: readonly (readonly [ChangedImages, (changed: ChangedImages) => string])[] = [
    [
      added,
      (is) =>
        `${images(is)} ${are(is)} new since ${run} began, and left out (${names(is)}); a new run would use them`,
    ],
    [missing, (is) => `${images(is)} of ${run} ${are(is)} missing now (${names(is)})`],
    [
      moved,
      (is) =>
        `${images(is)} moved to another class or folder since ${run} began (${names(is)}): none changes from training to validation or back`,
    ],
    [
      relabelled,
      (is) =>
        `${images(is)} ${is.count === 1 ? "has" : "have"} another class than when ${run} began (${names(is)})`,
    ],
  ];
  return kinds.flatMap(([changed, text]) => (changed.count === 0 ? [] : [text(changed)]));
}

function are({ count }: ChangedImages): string {
  return count === 1 ? "is" : "are";
}
