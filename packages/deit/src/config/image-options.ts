/** Options of the images, the model and where its weights come from. */
import { z } from "zod";
import { option } from "./option.ts";
import { count, positive, rate, text } from "./option-values.ts";

/** The reference's dataset names beside ours; `IMNET` is a folder with train/ and val/, `CIFAR` is CIFAR-100. */
const dataSet = z.enum(["auto", "folder", "cifar10", "cifar100", "IMNET", "CIFAR"]).transform((name) => {
  if (name === "IMNET") return "folder";
  return name === "CIFAR" ? "cifar100" : name;
});

export const IMAGE_OPTIONS = {
  dataPath: option(text.nullable().default(null), {
    group: "Images",
    value: "DIR",
    help: "folder with a sub-folder of images per class (or train/ and val/ with these), CSV file of paths and labels, or Parquet files; not needed for cifar10 and cifar100",
  }),
  dataSet: option(dataSet.default("auto"), {
    group: "Images",
    help: "kind of dataset; auto: detected from the folder (IMNET: folder, CIFAR: cifar100)",
  }),
  valSplit: option(rate.default(0.1), {
    group: "Images",
    value: "RATE",
    help: "fraction of the training images held out for validation when there is no val folder",
  }),
  holdOut: option(z.boolean().default(false), {
    group: "Images",
    help: "hold out --val-split of the training images even if there are validation images, to choose settings without using those",
  }),
  numTrain: option(count.nullable().default(null), {
    group: "Images",
    value: "N",
    nullMeans: "all",
    help: "train on a fixed random subset of N images, stratified by class",
  }),

  model: option(text.default("deit_base_patch16_224"), {
    group: "Model",
    value: "NAME",
    help: "model name (deit models lists them)",
  }),
  inputSize: option(
    z
      .union([count, z.tuple([count, count])])
      .nullable()
      .default(null),
    {
      group: "Model",
      value: "PIXELS",
      nullMeans: "the model's own",
      help: "image size that the model takes: PIXELS or HEIGHTxWIDTH, a multiple of the patch size",
    },
  ),
  drop: option(rate.default(0), {
    group: "Model",
    value: "RATE",
    help: "dropout after position embeddings, attention and MLP layers",
  }),
  attnDrop: option(rate.default(0), { group: "Model", value: "RATE", help: "dropout of attention weights" }),
  dropPath: option(rate.default(0.1), {
    group: "Model",
    value: "RATE",
    help: "stochastic depth of the last block; decreases linearly to 0 at the first",
  }),

  finetune: option(text.nullable().default(null), {
    group: "Fine-tuning",
    value: "CKPT",
    nullMeans: "from scratch",
    help: "start from the weights of this checkpoint: file, run or model folder, Hub id or URL; position embeddings are interpolated, a head for other classes is initialised anew",
  }),
  weights: option(text.nullable().default(null), {
    group: "Fine-tuning",
    value: "WHICH",
    nullMeans: "the trained ones",
    help: "weights to use from a checkpoint that holds several: model (trained), ema (averaged), or their key in the file",
  }),
  trainable: option(
    z
      .string()
      .refine(
        (which) => /^(?:all|head|attention|lora|last-[1-9]\d*)$/.test(which),
        "all, head, attention, lora or last-N",
      )
      .default("all"),
    {
      group: "Fine-tuning",
      value: "WHICH",
      help: "what to train: all; head (linear probe); attention, with position embeddings and head; last-N blocks and head; lora: low-rank adapters and head",
    },
  ),
  loraRank: option(count.default(8), {
    group: "Fine-tuning",
    value: "R",
    help: "rank of the adapters of --trainable lora, on all linear layers of the blocks",
  }),
  loraAlpha: option(positive.default(16), {
    group: "Fine-tuning",
    value: "ALPHA",
    help: "scale of the adapters: α/rank; they are merged into the saved model",
  }),
  trainMode: option(z.boolean().default(true), {
    group: "Fine-tuning",
    help: "train with stochastic depth and dropout; --no-train-mode trains as DeiT was fine-tuned: in evaluation mode, a distilled model by the mean of its heads",
  }),
  classWeights: option(z.enum(["none", "balanced"]).default("none"), {
    group: "Fine-tuning",
    help: "balanced: classes with few images weigh more in the loss of the true labels",
  }),
  patience: option(count.nullable().default(null), {
    group: "Fine-tuning",
    value: "N",
    nullMeans: "train all epochs",
    help: "stop when top-1 has not improved for N validations",
  }),
};
