/** Flags that the analyses of a checkpoint on pictures share. */
export const CHECKPOINT_OPTIONS = [
  "dataPath",
  "dataSet",
  "valSplit",
  "seed",
  "model",
  "inputSize",
  "weights",
  "device",
  "threads",
] as const;
