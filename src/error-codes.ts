/**
 * The stable codes of errors that a user can mend, `area/problem`, and what each means. Programs and tests compare the
 * code; the words of a message may change. A code is never given another meaning, and never renamed.
 */
export const ERROR_CODES = {
  // One line a code, sorted within its area.
  "checkpoint/damaged": "a file of weights is cut off, damaged, or larger than anything real",
  "checkpoint/missing": "no checkpoint was named",
  "checkpoint/no-such-weights": "the weights that --weights names are not in the file",
  "checkpoint/no-tensors": "a file of weights holds none",
  "checkpoint/not-finite": "weights hold values that are not finite",
  "checkpoint/not-found": "no file of weights is at the given place",
  "checkpoint/several-models": "a file holds several models, and which is meant cannot be told",
  "checkpoint/unknown-model": "weights of no model that is known",
  "checkpoint/wrong-tensors": "tensors that do not fit the model",
  "classifier/closed": "a classifier was asked after it was closed",
  "classifier/no-intermediates": "features, attention or tokens of an ONNX file that gives its logits alone",
  "classifier/pixels": "bytes that are no whole images of the classifier's size",
  "data/image-not-fetched": "an image at an address cannot be fetched",
  "data/image-size": "raw pixels of another length than width × height × channels",
  "data/no-images": "nothing that was named is an image that can be read",
  "data/no-validation": "images to train on alone, where some are needed to measure with",
  "data/too-few-images": "one update takes more images than there are",
  "device/no-float16": "float16 was asked of a device that cannot compute in it",
  "device/out-of-memory": "the memory of a device is not enough for a batch",
  "eval/real-labels": "ReaL's labels cannot be read, or are not of these images or classes",
  "export/input-size": "an exported file takes images of another size than the model",
  "data/broken-images": "too many images of a dataset cannot be read",
  "data/changed-in-use": "a dataset changed while it was being read",
  "data/loader-closed": "batches were asked of a loader that was closed",
  "data/loader-failed": "a thread that prepares images ended",
  "graph/shape": "an operation was given shapes that it cannot combine",
  "model/no-tokens": "a convnet was asked for its tokens or its attention",
  "options/conflict": "options that exclude each other",
  "options/missing": "an option that others need was not given",
  "options/out-of-range": "a number names something that is not there: a step, an image, a copy",
  "options/unsupported-by-model": "an option that this model has no place for",
  "run/damaged-state": "the saved state of a run is damaged",
  "run/no-state": "a file is no state of a run, or one of another version",
  unclassified: "an error without a code of its own yet",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;
