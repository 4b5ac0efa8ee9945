/**
 * DeiT-B on ImageNet as published (§6, Table 9): 300 epochs of 1024 images an update, 16 batches of 64 as on the
 * authors' 16 GPUs. Mixup and CutMix draw once for each 64. What is not said here is DeiT's default.
 *
 *   deit train deit-base-imagenet --data-path imagenet
 *
 * Time: 37 hours on 16 V100, says the paper. Expected: 81.8 % top-1, the paper's; not run here.
 */
import type { TrainInput } from "../src/config/schema.ts";

export const recipe = {
  dataSet: "folder",
  model: "deit_base_patch16_224",
  batchSize: 64,
  accumulationSteps: 16,
} satisfies TrainInput;
