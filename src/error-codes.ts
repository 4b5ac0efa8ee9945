/**
 * The stable codes of errors that a user can mend, `area/problem`, and what each means. Programs and tests compare the
 * code; the words of a message may change. A code is never given another meaning, and never renamed.
 */
export const ERROR_CODES = {
  // One line a code, sorted within its area.
  "graph/shape": "an operation was given shapes that it cannot combine",
  "options/conflict": "options that exclude each other",
  "options/missing": "an option that others need was not given",
  "options/unsupported-by-model": "an option that this model has no place for",
  unclassified: "an error without a code of its own yet",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;
