/** `deit report`: writes report.html into a run folder; training does it by itself when it ends. */
import type { Command } from "commander";
import {
  countOf,
  describeSelection,
  describeShare,
  imagesText,
  percentText,
} from "../../evaluation/metrics/share.ts";
import { facts } from "../views/text-format.ts";
import { createOutput } from "../output.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { withProgress } from "../views/with-progress.ts";

const OPTIONS = ["device", "threads", "workers", "batchSize"] as const;

export function addReportCommand(program: Command): void {
  const command = program
    .command("report")
    .description("Write report.html of a run: curves, confusions, calibration, images, options.")
    .argument("<run>", "a run folder")
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  command
    .addHelpText("after", "\nExample:\n  deit report runs/photos-deit_w64d4_patch4_32")
    .action(runReport);
}

async function runReport(run: string, flags: { json?: true }, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { reportRun } = await import("../../report/report.ts");
  const result = await withProgress({ output, label: "evaluating", unit: "images" }, (hooks) =>
    reportRun(run, {
      machine: givenOptions(command, OPTIONS),
      ...hooks,
    }),
  );
  output.result(result, () =>
    [
      result.report,
      facts([
        [
          "top-1",
          `${result.selection?.heldOut === 0 ? `${percentText(result)} (${countOf(result)})` : describeShare(result)}${result.selection ? ` on ${imagesText(result.selection)}` : ""}`,
        ],
        ["chosen", result.selection && describeSelection(result.selection)],
        ["calibration error", `${(100 * result.ece).toFixed(2)} %`],
      ]),
    ].join("\n"),
  );
}
