/** What code gives a run as values, where the command line gives names: images, a transform, a teacher, metrics. */
import type { ImageTransform } from "../data/loading/batch.ts";
import type { GivenImages } from "../data/open.ts";
import type { TeacherFunction } from "../distillation/teacher-function.ts";
import type { Metrics } from "../evaluation/own-metrics.ts";

export interface GivenParts {
  readonly images?: GivenImages | undefined;
  /** Changes each training image before the recipe's crop and augmentation. */
  readonly transform?: ImageTransform | undefined;
  readonly teacher?: TeacherFunction | undefined;
  /** Measured on the validation images beside accuracy and loss. */
  readonly metrics?: Metrics | undefined;
}
