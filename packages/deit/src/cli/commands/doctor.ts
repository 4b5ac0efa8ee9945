/** `deit doctor`: what this machine has, what will be used, and what mends what is missing. */
import type { Command } from "commander";
import type { Check, DoctorReport, Status } from "../../doctor/doctor.ts";
import { DeviceError } from "../../errors.ts";
import { facts, mebibytes } from "../views/text-format.ts";
import { withInterrupt } from "../interrupt.ts";
import type { Colours } from "../output.ts";
import { coloursFor, createOutput } from "../output.ts";
import { createProgress } from "../views/progress-line.ts";

export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("Check devices and dependencies, and how to fix what is missing.")
    .option(
      "--install-cuda",
      "download and test ONNX Runtime's CUDA provider (Linux x64, several hundred MB)",
    )
    .option("--json", "print the result as one JSON document")
    .addHelpText(
      "after",
      `
Each device is tested with a tiny training step. Exits with 1 only if nothing can run.

Examples:
  deit doctor
  deit doctor --install-cuda`,
    )
    .action(runDoctor);
}

async function runDoctor(flags: { installCuda?: true; json?: true }): Promise<void> {
  if (flags.installCuda) return runInstall(flags);
  const output = createOutput({ json: flags.json });
  const { doctor } = await import("../../doctor/doctor.ts");
  const report = await doctor();
  output.result(report, () => reportText(report, coloursFor(process.stdout)));
  const broken = report.checks.find(({ status }) => status === "fail");
  if (broken !== undefined) {
    const hint = broken.fix;
    throw new DeviceError("cpu", `deit cannot work here: ${broken.name}: ${broken.found}`, {
      code: "device/not-here",
      ...(hint && { hint }),
    });
  }
}

/** Marks are words as well as colours. */
const MARKS: Readonly<Record<Status, string>> = { ok: "ok", warn: "warn", fail: "FAIL", info: "-" };

/** The report for people. */
export function reportText({ versions, auto, checks }: DoctorReport, colours: Colours): string {
  const { bold, green, yellow, red, dim } = colours;
  const paint = { ok: green, warn: yellow, fail: red, info: dim };
  const width = Math.max(...checks.map(({ name }) => name.length));
  const line = ({ name, status, found, fix }: Check): string =>
    `  ${paint[status](MARKS[status].padEnd(4))}  ${name.padEnd(width)}  ${found}` +
    (fix === undefined ? "" : `\n  ${" ".repeat(4 + width)}    fix: ${fix}`);
  return [
    `${bold(`deit ${versions.deit}`)}, Node ${versions.node}, ONNX Runtime ${versions.onnxRuntime ?? "not found"}`,
    "",
    ...checks.map(line),
    "",
    `--device auto takes ${bold(auto.device)}: ${auto.reason}`,
  ].join("\n");
}

async function runInstall(flags: { json?: true }): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { installCuda } = await import("../../runtime/install-cuda.ts");
  const { tryDevice } = await import("../../doctor/trial.ts");
  const { lookAtCuda } = await import("../../doctor/cuda.ts");
  const progress = createProgress("CUDA provider");
  const started = performance.now();
  const path = await withInterrupt(
    (signal) =>
      installCuda({
        signal,
        onLine: (line) => progress.line(line),
        onBytes: (bytes) => sparsely(() => progress.line(`${mebibytes(bytes / 2 ** 20)} so far`)),
      }),
    () => progress.line("stopping"),
  ).finally(() => progress.stop());
  const trial = await tryDevice("cuda");
  const { missing } = await lookAtCuda();
  const seconds = (performance.now() - started) / 1000;
  output.result({ provider: path, seconds, trial, missing: missing ?? null }, () =>
    [
      "the CUDA provider is installed",
      facts([
        ["library", path],
        [
          "trial",
          trial.works
            ? `a tiny training step ran, with correct results (${trial.milliseconds} ms)`
            : trial.message,
        ],
      ]),
    ].join("\n"),
  );
  if (trial.works) return;
  const lacking = missing === undefined || missing.length === 0 ? "" : ` (not found: ${missing.join(", ")})`;
  throw new DeviceError(
    "cuda",
    `the CUDA provider is installed, and nothing runs on it yet: ${trial.message}${lacking}`,
    {
      code: "device/unusable",
      hint: "It needs an NVIDIA driver, CUDA 12 and cuDNN 9 on this machine; deit doctor says how to get them.",
    },
  );
}

const EVERY_MS = 5000;
let next = 0;

/** The size of the download is not known before, so there is no bar: a line now and then. */
function sparsely(tell: () => void): void {
  const now = performance.now();
  if (now < next) return;
  next = now + EVERY_MS;
  tell();
}
