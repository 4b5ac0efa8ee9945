/** Options of the device, and of the folder of a run. */
import { z } from "zod";
import { option } from "./option.ts";
import { count, positive, text } from "./option-values.ts";

export const MACHINE_OPTIONS = {
  device: option(z.enum(["auto", "cpu", "webgpu", "cuda"]).default("auto"), {
    group: "Machine",
    help: "where the model runs; auto: webgpu if there is a graphics card, else cpu (speed is not compared)",
  }),
  threads: option(count.nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "one per core",
    help: "CPU threads for the model",
  }),
  stepsPerRun: option(count.nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "1, and several on cuda and webgpu",
    help: "training steps sent to the device at once, so that it does not wait for the host; the result is the same; the gain has not been measured on a graphics card",
  }),
  precision: option(z.enum(["float32", "float16", "auto"]).default("float32"), {
    group: "Machine",
    help: "precision of activations and matrix products; float16: mixed precision, with float32 weights and a scaled loss (the reference's AMP); auto: float16 on cuda, else float32; float16 has not been run on a graphics card yet",
  }),
  recompute: option(z.boolean().default(false), {
    group: "Machine",
    help: "recompute the activations of each block in the backward pass (gradient checkpointing): the same result, a sixth of the memory per image, 25 to 33 % more time",
  }),
  workers: option(z.int().min(0).nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "by the number of cores",
    aliases: ["num-workers"],
    help: "threads that read and augment images; the result does not depend on it",
  }),
  ranks: option(count.nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "1, or as many as mpirun starts",
    help: "processes on this machine that train together, started with mpirun; each computes batches of --batch-size images, an update takes those of all (docs/scaling.md)",
  }),
  rankTimeout: option(positive.default(60), {
    group: "Machine",
    value: "SECONDS",
    help: "with several ranks: end them all when one has waited for another for so long",
  }),

  outputDir: option(text.nullable().default(null), {
    group: "Run folder",
    value: "DIR",
    nullMeans: "runs/DATA-MODEL",
    help: "folder for weights, log and report; the same command again resumes its run",
  }),
  evalEvery: option(count.default(1), {
    group: "Run folder",
    value: "N",
    help: "validate every N epochs, and after the last",
  }),
  selectEpoch: option(z.enum(["auto", "best", "last"]).default("auto"), {
    group: "Run folder",
    help: "epoch to save as best.safetensors: best in validation, or last; auto: last if fewer than 200 images are held out, unless --patience is given",
  }),
  saveEvery: option(count.default(1), {
    group: "Run folder",
    value: "N",
    help: "save every N epochs, and after the last",
  }),
  saveSteps: option(count.nullable().default(null), {
    group: "Run folder",
    value: "N",
    nullMeans: "only after epochs",
    help: "also save every N steps",
  }),
  saveMinutes: option(positive.nullable().default(10), {
    group: "Run folder",
    value: "N",
    nullMeans: "only after epochs",
    help: "also save N minutes after the last save",
  }),
};
