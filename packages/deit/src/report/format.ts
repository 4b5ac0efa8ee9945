/** Numbers as the page shows them. */

/** `5,717,416` */
export function integer(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A share of 0 to 1 as `87.4 %`, not to be broken into two lines. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`: the two largest units. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const units = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return units
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** `7.8e-4`, `0.032`, `12`. */
export function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-2) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(4)));
}

/** "1 image", "2 images". */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${integer(count)} ${count === 1 ? singular : plural}`;
}
