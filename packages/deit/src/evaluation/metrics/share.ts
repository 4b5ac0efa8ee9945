/**
 * A share of images, said in the same way everywhere: how many of how many, between what bounds the true share lies, and
 * how the weights that it is of were chosen. Pure.
 */
import type { Interval } from "./bootstrap.ts";

/** So many images of so many. */
export interface Share {
  readonly correct: number;
  readonly images: number;
}

/** As JSON documents carry it. */
export interface ShareReport extends Share {
  /** Wilson's 95 % interval, in percent. */
  readonly interval: readonly [low: number, high: number];
}

/** How the weights of a run were chosen among its epochs. */
export interface Selection {
  /** The epoch with the highest top-1 in validation, or the last one. */
  readonly rule: "best" | "last";
  /** Validated epochs that there were to choose among. */
  readonly epochs: number;
  /** Images that the epochs were validated with and not trained on; 0: accuracy is that on the training images. */
  readonly heldOut: number;
}

/** The two-sided 95 % quantile of the normal distribution. */
const Z = 1.959963984540054;

/**
 * Wilson's 95 % score interval (1927) of a share, 0 to 1: unlike the bootstrap it is not of width 0 for 23 of 23, and it
 * holds its level for few images (Brown, Cai and DasGupta, 2001).
 */
export function wilsonInterval({ correct, images }: Share): Interval {
  if (images === 0) return { low: 0, high: 1 };
  const share = correct / images;
  const scale = 1 + Z ** 2 / images;
  const centre = (share + Z ** 2 / (2 * images)) / scale;
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / images + Z ** 2 / (4 * images ** 2));
  return {
    low: correct === 0 ? 0 : Math.max(0, centre - half),
    high: correct === images ? 1 : Math.min(1, centre + half),
  };
}

/** The share behind an accuracy in percent. */
export function shareOf(percent: number, images: number): Share {
  return { correct: Math.round((percent * images) / 100), images };
}

export function shareReport(share: Share): ShareReport {
  const { low, high } = wilsonInterval(share);
  return { ...share, interval: [100 * low, 100 * high] };
}

/** `10 of 11` */
export function countOf({ correct, images }: Share): string {
  return `${correct.toLocaleString("en-US")} of ${images.toLocaleString("en-US")}`;
}

/** `62.3 to 98.4 %`: the 95 % interval. */
export function intervalText(share: Share): string {
  const { low, high } = wilsonInterval(share);
  return `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %`;
}

/** `90.91 % (10 of 11; 95 % interval 62.3 to 98.4 %)` */
export function describeShare(share: Share): string {
  return `${percentText(share)} (${countOf(share)}; 95 % interval ${intervalText(share)})`;
}

/** `90.91 %` */
export function percentText({ correct, images }: Share): string {
  return `${((100 * correct) / images).toFixed(2)} %`;
}

/** What images an accuracy of a run is on: `of images that were held out`. */
export function imagesText({ heldOut }: Pick<Selection, "heldOut">): string {
  return heldOut > 0 ? "held-out images" : "the images that it was trained on (none were held out)";
}

/** What the choice of the epoch does to the figure; undefined where nothing was chosen. */
export function describeSelection({ rule, epochs, heldOut }: Selection): string | undefined {
  if (heldOut === 0 || epochs < 2) return undefined;
  return rule === "best"
    ? `best of ${epochs.toLocaleString("en-US")} epochs, chosen on these images: expect less on new ones`
    : `last of ${epochs.toLocaleString("en-US")} epochs: none was chosen by these images`;
}

/** With fewer held-out images no epoch is chosen by them. */
export const FEW_IMAGES = 200;
