/** Results of `deit eval` for people: one checkpoint in lines, several in a table. */
import type { CheckpointReport, ComparisonReport } from "../evaluation/checkpoint-report.ts";
import { countOf, intervalText, shareOf } from "../evaluation/share.ts";
import { facts, integer, short, table } from "./format.ts";

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
}

/** Classes that are shown unless all are asked for. */
const WEAKEST = 5;

export function describeReport(
  report: CheckpointReport,
  { perClass = false }: ReportViewOptions = {},
): string {
  const { model, images, loss, heads, tokens, topk = {}, calibration, real, confusions } = report;
  const share = shareOf(report.acc1, images);
  const { temperature, crossFitted, ece, overconfidence } = calibration;
  const surer = `${overconfidence >= 0 ? "too sure" : "not sure enough"} by ${(100 * Math.abs(overconfidence)).toFixed(1)} points`;
  const rows: (readonly [string, string | undefined])[] = [
    ...HEADS.map(([head, name]) => [name, heads[head] && percent(heads[head])] as const),
    ["top-1, 95 % interval", `${intervalText(share)} (${countOf(share)})`],
    ...Object.entries(topk).map(([k, share]) => [`top-${k}`, `${share.toFixed(3)} %`] as const),
    ["ReaL labels", real && `${percent(real)} on ${integer(real.images)} images`],
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
    `${model} at ${report.inputSize.join(" × ")} on ${integer(images)} images: ${percent(report)}, loss ${loss.toFixed(4)}\n${facts(rows)}`,
  ];
  if (confusions.length > 0)
    parts.push(
      `Most confused\n${table(
        confusions.map(({ label, predicted, count }) => [
          `  ${integer(count)}`,
          label,
          "taken for",
          predicted,
        ]),
        { right: [0] },
      )}`,
    );
  const classes = perClass
    ? report.perClass
    : report.perClass.toSorted((a, b) => a.acc1 - b.acc1 || b.images - a.images).slice(0, WEAKEST);
  if (perClass || report.perClass.length > WEAKEST)
    parts.push(
      `${perClass ? "Classes" : "Weakest classes"}\n${table(
        classes.map(({ class: name, images, acc1 }) => [
          `  ${acc1.toFixed(1)} %`,
          `of ${integer(images)}`,
          name,
        ]),
        { right: [0, 1] },
      )}`,
    );
  return parts.join("\n\n");
}

/** A row for each model, and for each head of a distilled one; then what the differences are worth. */
export function describeComparison({ models, differences }: ComparisonReport): string {
  const [first] = models;
  const withReal = models.some(({ real }) => real !== undefined);
  const ks = Object.keys(first?.topk ?? {});
  const rows = models.flatMap((report) => {
    const { name, inputSize, loss, acc1, acc5, calibration, heads, real, topk = {} } = report;
    const main = [
      name,
      inputSize.join("×"),
      acc1.toFixed(2),
      intervalText(shareOf(acc1, report.images)).replace(" %", ""),
      acc5.toFixed(2),
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
          figures.acc5.toFixed(2),
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
    "top-5 %",
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

function percent({ acc1, acc5 }: { acc1: number; acc5: number }): string {
  return `top-1 ${acc1.toFixed(3)} %, top-5 ${acc5.toFixed(3)} %`;
}
