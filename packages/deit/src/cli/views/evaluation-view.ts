/** Results of `deit eval` for people: one checkpoint in lines, several in a table. */
import type { CheckpointReport, ComparisonReport } from "../../evaluation/checkpoint-report.ts";
import { countOf, intervalText, shareOf } from "../../evaluation/metrics/share.ts";
import { facts, integer, short, table } from "./text-format.ts";

/** Heads of a distilled model, as they are shown. */
const HEADS = [
  ["class", "class head"],
  ["distillation", "distillation head"],
  ["jointLogits", "both, mean of logits"],
  ["jointSoftmax", "both, sum of softmaxes"],
] as const;

export interface ReportViewOptions {
  /** All classes, not only the weakest. */
  readonly perClass?: boolean | undefined;
  /** Wrong images that are listed. */
  readonly wrong?: number | undefined;
}

/** Classes that are shown unless all are asked for. */
const WEAKEST = 5;

export function describeReport(
  report: CheckpointReport,
  { perClass = false, wrong = 0 }: ReportViewOptions = {},
): string {
  const { model, images, loss, heads, tokens, topk = {}, calibration, real, confusions } = report;
  const share = shareOf(report.acc1, images);
  const { temperature, crossFitted, ece, overconfidence } = calibration;
  const surer = `${overconfidence >= 0 ? "overconfident" : "underconfident"} by ${(100 * Math.abs(overconfidence)).toFixed(1)} points`;
  const top = (figures: Accuracies): string => accuracies(figures, report.classes);
  const { macro, classesWithoutImages: without } = report;
  const rows: (readonly [string, string | undefined])[] = [
    ...HEADS.map(([head, name]) => [name, heads[head] && top(heads[head])] as const),
    ["top-1, 95 % interval", `${intervalText(share)} (${countOf(share)})`],
    ...Object.entries(topk).map(([k, share]) => [`top-${k}`, `${share.toFixed(3)} %`] as const),
    [
      "mean of classes",
      `precision ${macro.precision.toFixed(2)} %, recall ${macro.recall.toFixed(2)} %, F1 ${macro.f1.toFixed(2)} % (${macro.classes} classes${macro.neverAnswered > 0 ? `; ${macro.neverAnswered} never predicted, precision 0` : ""})`,
    ],
    [
      "without images",
      without.length === 0
        ? undefined
        : `${without.slice(0, 3).join(", ")}${without.length > 3 ? ` and ${without.length - 3} classes more` : ""}`,
    ],
    ["ReaL labels", real && `${top(real)} on ${integer(real.images)} images`],
    ["calibration error", `${(100 * ece).toFixed(2)} % (${surer})`],
    [
      "temperature",
      temperature === undefined || crossFitted === undefined
        ? undefined
        : `${temperature.toFixed(2)}; with it ${(100 * crossFitted.ece).toFixed(2)} % and loss ${crossFitted.loss.toFixed(4)}, cross-fitted on halves`,
    ],
    [
      "tokens' cosine",
      tokens &&
        `${tokens.parameters.toFixed(3)} as parameters, ${tokens.lastLayer.toFixed(3)} after the last layer`,
    ],
    ["images/s", short(report.imagesPerSecond)],
  ];
  const parts = [
    `${model} at ${report.inputSize.join(" × ")} on ${integer(images)} images: ${top(report)}, loss ${loss.toFixed(4)}\n${facts(rows)}`,
  ];
  if (confusions.length > 0)
    parts.push(
      `Most confused\n${table(
        confusions.map(({ label, predicted, count }) => [
          `  ${integer(count)}`,
          label,
          "predicted as",
          predicted,
        ]),
        { right: [0] },
      )}`,
    );
  const weakest = report.perClass
    .filter(({ right, images }) => right < images)
    .toSorted((a, b) => a.acc1 - b.acc1 || b.images - a.images)
    .slice(0, WEAKEST);
  const classes = perClass ? report.perClass : report.perClass.length > WEAKEST ? weakest : [];
  if (classes.length > 0)
    parts.push(
      `${perClass ? "Classes" : "Weakest classes"}\n${table(
        [
          ["  recall %", "of images", "precision %", "of answers", "F1 %", "class"],
          ...classes.map(({ class: name, images, answered, precision, recall, f1 }) => [
            `  ${share1(recall)}`,
            integer(images),
            share1(precision),
            integer(answered),
            share1(f1),
            name,
          ]),
        ],
        { right: [0, 1, 2, 3, 4] },
      )}`,
    );
  const listed = report.wrong.slice(0, wrong);
  if (listed.length > 0)
    parts.push(
      `Wrong images, the largest loss first\n${table(
        [
          ["  loss", "image", "class", "answer", "probability"],
          ...listed.map(({ loss, image, label, predicted, confidence }) => [
            `  ${loss?.toFixed(2) ?? "–"}`,
            image,
            label,
            predicted ?? "none",
            confidence === null ? "–" : `${(100 * confidence).toFixed(1)} %`,
          ]),
        ],
        { right: [0, 4] },
      )}`,
    );
  return parts.join("\n\n");
}

/** A row for each model, and for each head of a distilled one; then what the differences are worth. */
export function describeComparison({ models, differences }: ComparisonReport): string {
  const [first] = models;
  const withTop5 = models.some(({ classes }) => classes > 5);
  const withReal = models.some(({ real }) => real !== undefined);
  const ks = Object.keys(first?.topk ?? {});
  const rows = models.flatMap((report) => {
    const { name, inputSize, loss, acc1, acc5, calibration, heads, real, topk = {} } = report;
    const main = [
      name,
      inputSize.join("×"),
      acc1.toFixed(2),
      intervalText(shareOf(acc1, report.images)).replace(" %", ""),
      ...(withTop5 ? [acc5.toFixed(2)] : []),
      ...ks.map((k) => (topk[k] ?? Number.NaN).toFixed(2)),
      ...(withReal ? [real?.acc1.toFixed(2) ?? ""] : []),
      loss.toFixed(4),
      (100 * calibration.ece).toFixed(2),
      calibration.temperature?.toFixed(2) ?? "",
      short(report.imagesPerSecond),
    ];
    const others = HEADS.flatMap(([head, label]) => {
      const figures = heads.distillation === undefined ? undefined : heads[head];
      if (figures === undefined) return [];
      const gap = ks.map(() => "");
      return [
        [
          `  ${label}`,
          "",
          figures.acc1.toFixed(2),
          "",
          ...(withTop5 ? [figures.acc5.toFixed(2)] : []),
          ...gap,
          ...(withReal ? [""] : []),
          figures.loss.toFixed(4),
        ],
      ];
    });
    return [main, ...others];
  });
  const head = [
    "",
    "pixels",
    "top-1 %",
    "95 % interval",
    ...(withTop5 ? ["top-5 %"] : []),
    ...ks.map((k) => `top-${k} %`),
    ...(withReal ? ["ReaL %"] : []),
    "loss",
    "ECE %",
    "temp.",
    "images/s",
  ];
  const parts = [
    `${integer(first?.images ?? 0)} images of ${first?.dataset ?? ""}`,
    table([head, ...rows], { right: head.map((_, i) => i).slice(1) }),
  ];
  const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  parts.push(
    `Differences of top-1 on the same images, 95 % intervals\n${table(
      differences.map(({ from, to, acc1, interval: [low, high] }) => [
        `  ${to}`,
        "against",
        from,
        signed(acc1),
        `(${signed(low)} to ${signed(high)})`,
        low > 0 || high < 0 ? "" : "may be chance",
      ]),
      { right: [3] },
    )}`,
  );
  return parts.join("\n\n");
}

type Accuracies = Pick<CheckpointReport, "acc1" | "acc5">;

/** Among five classes or fewer every answer is one of the first five. */
function accuracies({ acc1, acc5 }: Accuracies, classes: number): string {
  return `top-1 ${acc1.toFixed(3)} %${classes > 5 ? `, top-5 ${acc5.toFixed(3)} %` : ""}`;
}

/** A score of a class; "–" where there is nothing to divide by. */
function share1(score: number | null): string {
  return score?.toFixed(1) ?? "–";
}
