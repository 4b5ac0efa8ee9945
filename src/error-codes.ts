/**
 * The stable codes of errors that a user can mend, `area/problem`, and what each means. Programs and tests compare the
 * code; the words of a message may change. A code is never given another meaning, and never renamed.
 */
export const ERROR_CODES = {
  // One line a code, sorted within its area.
  "checkpoint/damaged": "a file of weights is cut off, damaged, or larger than anything real",
  "checkpoint/no-such-weights": "the weights that --weights names are not in the file",
  "checkpoint/no-tensors": "a file of weights holds none",
  "checkpoint/not-finite": "weights hold values that are not finite",
  "checkpoint/not-found": "no file of weights is at the given place",
  "checkpoint/several-models": "a file holds several models, and which is meant cannot be told",
  "checkpoint/unknown-model": "weights of no model that is known",
  "checkpoint/wrong-tensors": "tensors that do not fit the model",
  "graph/shape": "an operation was given shapes that it cannot combine",
  "options/conflict": "options that exclude each other",
  "options/missing": "an option that others need was not given",
  "options/unsupported-by-model": "an option that this model has no place for",
  unclassified: "an error without a code of its own yet",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;
