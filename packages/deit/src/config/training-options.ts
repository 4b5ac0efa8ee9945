/** Options of the training itself: epochs and loss, optimizer, schedule. */
import { z } from "zod";
import { option } from "./option.ts";
import { count, positive, rate } from "./option-values.ts";

export const TRAINING_OPTIONS = {
  epochs: option(count.default(300), {
    group: "Training",
    value: "N",
    help: "passes over the training images",
  }),
  batchSize: option(count.default(64), {
    group: "Training",
    value: "N",
    aliases: ["batch"],
    help: "images per batch",
  }),
  accumulationSteps: option(count.default(1), {
    group: "Training",
    value: "N",
    help: "batches whose gradients are averaged for one update",
  }),
  smoothing: option(rate.default(0.1), { group: "Training", value: "RATE", help: "label smoothing" }),
  bceLoss: option(z.boolean().default(false), {
    group: "Training",
    help: "binary cross-entropy in which every class of the (mixed) label has target 1, as in DeiT III; requires --smoothing 0",
  }),
  modelEma: option(z.boolean().default(true), {
    group: "Training",
    help: "keep an exponential moving average (EMA) of the weights; it is validated and saved as well",
  }),
  modelEmaDecay: option(rate.default(0.99996), {
    group: "Training",
    value: "RATE",
    help: "decay of the EMA per update",
  }),
  modelEmaWarmup: option(z.boolean().default(false), {
    group: "Training",
    help: "start with a small EMA decay, for short runs",
  }),
  seed: option(z.int().min(0).default(0), {
    group: "Training",
    value: "N",
    help: "random seed; the same seed gives the same run",
  }),

  opt: option(z.enum(["adamw", "lamb", "sgd", "momentum"]).default("adamw"), {
    group: "Optimizer",
    help: "lamb: DeiT III's, which clips gradients to norm 1 unless --clip-grad sets another norm; sgd has Nesterov momentum, momentum has plain momentum",
  }),
  lr: option(positive.default(5e-4), {
    group: "Optimizer",
    value: "RATE",
    help: "peak learning rate for 512 images a step, scaled to the actual number unless --unscale-lr",
  }),
  unscaleLr: option(z.boolean().default(false), { group: "Optimizer", help: "use --lr as given" }),
  weightDecay: option(z.number().min(0).default(0.05), {
    group: "Optimizer",
    value: "RATE",
    help: "not applied to biases, norms, class token and positions",
  }),
  optEps: option(positive.default(1e-8), {
    group: "Optimizer",
    value: "X",
    help: "epsilon of AdamW and LAMB",
  }),
  optBetas: option(z.tuple([rate, rate]).default([0.9, 0.999]), {
    group: "Optimizer",
    value: "B1 B2",
    help: "decay rates of the two moments of AdamW and LAMB",
  }),
  momentum: option(rate.default(0.9), {
    group: "Optimizer",
    value: "RATE",
    help: "momentum of sgd and momentum",
  }),
  layerDecay: option(positive.max(1).nullable().default(null), {
    group: "Optimizer",
    value: "RATE",
    nullMeans: "one rate for all layers",
    help: "layer-wise decay: the learning rate of a block is that of the next one times RATE",
  }),
  clipGrad: option(positive.nullable().default(null), {
    group: "Optimizer",
    value: "NORM",
    nullMeans: "no clipping",
    help: "clip gradients to this global norm",
  }),

  sched: option(z.enum(["cosine", "step", "constant"]).default("cosine"), {
    group: "Schedule",
    help: "learning rate schedule after the warm-up",
  }),
  schedUnit: option(z.enum(["epoch", "step"]).default("epoch"), {
    group: "Schedule",
    help: "when the learning rate changes; epoch: once an epoch, one epoch late, as in the reference; step: every step, better for short runs",
  }),
  warmupEpochs: option(z.number().min(0).default(5), {
    group: "Schedule",
    value: "N",
    help: "epochs of linear warm-up",
  }),
  warmupLr: option(z.number().min(0).default(1e-6), {
    group: "Schedule",
    value: "RATE",
    help: "learning rate at the start of the warm-up; never scaled",
  }),
  minLr: option(z.number().min(0).default(1e-5), {
    group: "Schedule",
    value: "RATE",
    help: "learning rate at the end of the cosine; never scaled",
  }),
  decayEpochs: option(positive.default(30), {
    group: "Schedule",
    value: "N",
    help: "epochs between the drops of --sched step",
  }),
  decayRate: option(positive.max(1).default(0.1), {
    group: "Schedule",
    value: "RATE",
    aliases: ["dr"],
    help: "factor of the drops of --sched step",
  }),
};
