/**
 * `deit-ts/data`: labelled images for loops of your own, in Node: datasets of folders, tables and archives, splits, image
 * transforms and their draws, batches from worker threads.
 */

// Datasets.
export { openDataset } from "./data/dataset.ts";
export type { Dataset, DatasetSource } from "./data/dataset.ts";
export { openDatasets, openEvaluation } from "./data/open.ts";
export type { DataOptions, EvaluationDataOptions, OpenedDatasets } from "./data/open.ts";
export { createDataset } from "./api/create-dataset.ts";
export type { CreateDatasetOptions, LabelledImage, LabelledImages } from "./api/create-dataset.ts";
export { imagesInMemory } from "./data/memory-images.ts";
export type { MemoryImage, MemoryImages } from "./data/memory-images.ts";
export { takeSubset } from "./data/subset.ts";
export type { Selection } from "./data/subset.ts";
export { packDataset } from "./data/pack.ts";
export type { Packed, PackOptions } from "./data/pack.ts";
export { pullDataset as downloadDataset } from "./data/download/download-dataset.ts";

// Batches.
export { createPlan } from "./data/loading/epoch-plan.ts";
export type { Plan, PlannedSample, PlanOptions } from "./data/loading/epoch-plan.ts";
export { createLoader } from "./data/loading/loader.ts";
export type { Batch, BatchMaker, BatchPool, Loader, LoaderOptions } from "./data/loading/loader.ts";
export { workerPool } from "./data/loading/loader-pool.ts";

// Images.
export type { RgbImage } from "./augmentation/rgb-image.ts";
export { readImage } from "./evaluation/image-input.ts";
export type { ImageInput, RawImage } from "./evaluation/image-input.ts";
export { readPlanar, rgbImage, writePlanar } from "./augmentation/rgb-image.ts";
export { applyOperation, describeOperation } from "./augmentation/operation.ts";
export type { Draw, Operation } from "./augmentation/operation.ts";
export { drawMixes, mixFeed, mixImages, mixTargets } from "./augmentation/mixup.ts";
export type { Mix, MixupOptions } from "./augmentation/mixup.ts";
export { createTransform } from "./augmentation/transform.ts";
export type {
  EvaluationTransformOptions,
  TrainCrop,
  TrainTransformOptions,
  Transform,
  TransformOptions,
} from "./augmentation/transform.ts";
export { IMAGENET_NORMALISATION } from "./augmentation/normalisation.ts";
export type { Normalisation } from "./augmentation/normalisation.ts";

export { smoothTargets } from "./training/loop/step-feeds.ts";
export { createRandom } from "./random.ts";
export type { Random } from "./random.ts";
export { ConfigError, DataError } from "./errors.ts";

// Parts that analyses and benchmarks use.
export { crop } from "./augmentation/crop.ts";
export type { PartialPreprocessing } from "./augmentation/preprocessing.ts";
export { resize, resizeMatrix } from "./augmentation/resize.ts";
export type { TrainingImages } from "./augmentation/training-images.ts";
export { splitsByChance } from "./data/open.ts";
export { planBatches } from "./data/loading/epoch-plan.ts";
export type { BatchSettings } from "./data/loading/epoch-plan.ts";
export { workersFor } from "./data/loading/workers.ts";
