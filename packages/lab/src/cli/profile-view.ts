/** A profile as text: tables of where the time goes. Pure. */
import type { ProfileEntry, ProfileReport } from "../bench/profile.ts";
import { facts, short, table } from "deit-ts/cli";

/** Operations and layers that are shown one by one; --json has them all. */
const MOST = 12;

export function profileText(report: ProfileReport): string {
  const { model, what, device, threads, batchSize, runs, secondsPerRun, operationSeconds, products, file } =
    report;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return [
    `${model}, ${what === "train" ? "training step" : "forward pass"} of ${batchSize} on ${device}, ${threads} threads: mean of ${runs} profiled runs`,
    facts([
      ["a run", milliseconds(secondsPerRun)],
      ["operations", `${milliseconds(operationSeconds)}, ${percent(operationSeconds / secondsPerRun)} of it`],
      ["products", `${percent(products.share)} of the operations' time, ${rate(products)}`],
    ]),
    ...(report.phases.length > 1 ? ["", section("phase", report.phases)] : []),
    "",
    section("part", report.parts),
    "",
    section("layer", report.layers),
    "",
    section("operation", report.operations),
    ...(file === null ? [] : ["", `ONNX Runtime's profile: ${file} (open it at ui.perfetto.dev)`]),
  ].join("\n");
}

function section(title: string, entries: readonly ProfileEntry[]): string {
  const shown = entries.length > MOST + 2 ? entries.slice(0, MOST) : entries;
  const rows = shown.map((entry) => [
    `  ${entry.name}`,
    milliseconds(entry.seconds),
    `${(100 * entry.share).toFixed(1)} %`,
    short(entry.count),
    rate(entry),
  ]);
  const rest = entries.length - shown.length;
  return [
    table([[`  ${title}`, "time", "share", "nodes", "products"], ...rows], { right: [1, 2, 3, 4] }),
    ...(rest > 0 ? [`  and ${rest} more (--json has them)`] : []),
  ].join("\n");
}

function milliseconds(seconds: number): string {
  return `${short(1000 * seconds)} ms`;
}

function rate({ gflops }: ProfileEntry): string {
  return gflops === null ? "" : `${short(gflops)} GFLOP/s`;
}
