/**
 * Mean and standard deviation that a program subtracts and divides by, per channel, on the scale 0…1. DeiT uses
 * ImageNet's for every data set, CIFAR included. Applying them is the program's work.
 */

/** RGB, for pixels / 255. */
export interface Normalisation {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export const IMAGENET_NORMALISATION: Normalisation = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};
