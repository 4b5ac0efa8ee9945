/**
 * Numbers of the paper (arXiv 2012.12877v2) that figures draw beside ours. Throughput is that of one V100 of 16 GB in float32,
 * the largest batch that fits, mean of 30 runs; accuracies are percent.
 */

export interface PaperModel {
  readonly name: string;
  readonly family: "ResNet" | "RegNetY" | "EfficientNet" | "ViT" | "DeiT" | "DeiT⚗";
  /** In millions. */
  readonly parameters: number;
  /** Side of the images in pixels. */
  readonly size: number;
  readonly imagesPerSecond: number;
  /** Top-1 on ImageNet's validation set, with ReaL labels, and on V2; null where the paper has none. */
  readonly imagenet: number;
  readonly real: number | null;
  readonly v2: number | null;
  /** The registered model that it is. */
  readonly registered?: string;
  /** Trained for 1,000 epochs in place of 300. */
  readonly long?: true;
}

type Row = readonly [
  name: string,
  parameters: number,
  size: number,
  imagesPerSecond: number,
  imagenet: number,
  real?: number | null,
  v2?: number | null,
  registered?: string,
];

const families: Readonly<Record<PaperModel["family"], readonly Row[]>> = {
  ResNet: [
    ["ResNet-18", 12, 224, 4458.4, 69.8, 77.3, 57.1],
    ["ResNet-50", 25, 224, 1226.1, 76.2, 82.5, 63.3],
    ["ResNet-101", 45, 224, 753.6, 77.4, 83.7, 65.7],
    ["ResNet-152", 60, 224, 526.4, 78.3, 84.1, 67],
  ],
  RegNetY: [
    ["RegNetY-4GF", 21, 224, 1156.7, 80, 86.4, 69.4, "regnety_040"],
    ["RegNetY-8GF", 39, 224, 591.6, 81.7, 87.4, 70.8, "regnety_080"],
    ["RegNetY-16GF", 84, 224, 334.7, 82.9, 88.1, 72.4, "regnety_160"],
  ],
  EfficientNet: [
    ["EfficientNet-B0", 5, 224, 2694.3, 77.1, 83.5, 64.3],
    ["EfficientNet-B1", 8, 240, 1662.5, 79.1, 84.9, 66.9],
    ["EfficientNet-B2", 9, 260, 1255.7, 80.1, 85.9, 68.8],
    ["EfficientNet-B3", 12, 300, 732.1, 81.6, 86.8, 70.6],
    ["EfficientNet-B4", 19, 380, 349.4, 82.9, 88, 72.3],
    ["EfficientNet-B5", 30, 456, 169.1, 83.6, 88.3, 73.6],
    ["EfficientNet-B6", 43, 528, 96.9, 84, 88.8, 73.9],
    ["EfficientNet-B7", 66, 600, 55.1, 84.3],
    ["EfficientNet-B5 RA", 30, 456, 96.9, 83.7], // B6's throughput, probably a slip of the paper
    ["EfficientNet-B7 RA", 66, 600, 55.1, 84.7],
    ["KDforAA-B8", 87, 800, 25.2, 85.8],
  ],
  ViT: [
    ["ViT-B/16", 86, 384, 85.9, 77.9, 83.6],
    ["ViT-L/16", 307, 384, 27.3, 76.5, 82.2],
  ],
  DeiT: [
    ["DeiT-Ti", 5, 224, 2536.5, 72.2, 80.1, 60.4, "deit_tiny_patch16_224"],
    ["DeiT-S", 22, 224, 940.4, 79.8, 85.7, 68.5, "deit_small_patch16_224"],
    ["DeiT-B", 86, 224, 292.3, 81.8, 86.7, 71.5, "deit_base_patch16_224"],
    ["DeiT-B↑384", 86, 384, 85.9, 83.1, 87.7, 72.4, "deit_base_patch16_384"],
  ],
  "DeiT⚗": [
    ["DeiT-Ti⚗", 6, 224, 2529.5, 74.5, 82.1, 62.9, "deit_tiny_distilled_patch16_224"],
    ["DeiT-S⚗", 22, 224, 936.2, 81.2, 86.8, 70, "deit_small_distilled_patch16_224"],
    ["DeiT-B⚗", 87, 224, 290.9, 83.4, 88.3, 73.2, "deit_base_distilled_patch16_224"],
    ["DeiT-B⚗↑384", 87, 384, 85.8, 84.5, 89, 74.8, "deit_base_distilled_patch16_384"],
    ["DeiT-Ti⚗ 1000 ep.", 6, 224, 2529.5, 76.6, 83.9, 65.4],
    ["DeiT-S⚗ 1000 ep.", 22, 224, 936.2, 82.6, 87.8, 71.7],
    ["DeiT-B⚗ 1000 ep.", 87, 224, 290.9, 84.2, 88.7, 73.9],
    ["DeiT-B⚗↑384 1000 ep.", 87, 384, 85.8, 85.2, 89.3, 75.2],
  ],
};

/** Table 5, whose accuracies against throughputs are Figure 1. */
export const TABLE_5: readonly PaperModel[] = Object.entries(families).flatMap(([family, rows]) =>
  rows.map(
    ([
      name,
      parameters,
      size,
      imagesPerSecond,
      imagenet,
      real = null,
      v2 = null,
      registered,
    ]): PaperModel => ({
      name,
      family: family as PaperModel["family"], // the keys of a record of it
      parameters,
      size,
      imagesPerSecond,
      imagenet,
      real,
      v2,
      ...(registered !== undefined && { registered }),
      ...(name.includes("1000") && { long: true }),
    }),
  ),
);
