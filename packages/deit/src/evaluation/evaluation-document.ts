/** The JSON document of an evaluation: that of one checkpoint is its report, that of several has them side by side. */
import { mainAnswers } from "./metrics/answer-sheet.ts";
import type { CheckpointReport, Difference } from "./checkpoint-report.ts";
import { confusionMatrix } from "./metrics/confusion-counts.ts";
import type { MeasuredCheckpoints } from "./measure-checkpoints.ts";

export interface DocumentOptions {
  /** Every class with its accuracy: a thousand entries for ImageNet. */
  readonly perClass?: boolean | undefined;
  /** Counts, a row for each label, a column for each answer: a million for ImageNet. */
  readonly confusionMatrix?: boolean | undefined;
}

export type ReportDocument = Omit<CheckpointReport, "perClass"> &
  Partial<Pick<CheckpointReport, "perClass">> & {
    readonly confusionMatrix?: {
      readonly classes: readonly string[];
      readonly counts: readonly (readonly number[])[];
    };
  };

export type EvaluationDocument =
  | ReportDocument
  | { readonly models: readonly ReportDocument[]; readonly differences: readonly Difference[] };

export function evaluationDocument(
  { comparison: { numClasses, classes }, models, differences }: MeasuredCheckpoints,
  options: DocumentOptions = {},
): EvaluationDocument {
  const documents = models.map(({ report: { perClass, ...report }, answers }): ReportDocument => {
    const { labels } = answers;
    const { predicted } = mainAnswers(answers);
    return {
      ...report,
      ...(options.perClass && { perClass }),
      ...(options.confusionMatrix && {
        confusionMatrix: {
          classes,
          counts: rowsOf(confusionMatrix({ labels, predicted, numClasses }), numClasses),
        },
      }),
    };
  });
  const [only] = documents;
  return documents.length === 1 && only !== undefined ? only : { models: documents, differences };
}

function rowsOf(counts: Uint32Array, width: number): number[][] {
  return Array.from({ length: width }, (_, row) => [...counts.subarray(row * width, (row + 1) * width)]);
}
