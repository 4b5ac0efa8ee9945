/**
 * Every option of training, once: name, type, default, words. Flags, help, config files, JSON Schema and the
 * library's types all come from here. Names and defaults are the reference's where it has the option
 * (DeiT's `main.py`). Options of the reference that this version lacks are in unsupported-options.ts.
 */
import { z } from "zod";
import { option } from "./option.ts";

const IMAGENET_MEAN: [number, number, number] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [number, number, number] = [0.229, 0.224, 0.225];

const count = z.int().min(1);
const rate = z.number().min(0).lt(1);
const positive = z.number().gt(0);
const colour = z.tuple([z.number(), z.number(), z.number()]);
const text = z.string().min(1);
/** The reference writes '' for none. */
const textOrNone = z.string().transform((value) => (value === "" ? null : value));

/** The reference's dataset names beside ours; `IMNET` is a folder with train/ and val/, `CIFAR` is CIFAR-100. */
const dataSet = z.enum(["auto", "folder", "cifar10", "cifar100", "IMNET", "CIFAR"]).transform((name) => {
  if (name === "IMNET") return "folder";
  return name === "CIFAR" ? "cifar100" : name;
});

const shares = z.tuple([rate, rate]).refine(([low, high]) => low < high, "the smaller number first");

function range(low: number, high: number): z.ZodDefault<z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>> {
  const ordered = z
    .tuple([positive, positive])
    .refine(([from, to]) => from <= to, "the smaller number first");
  return ordered.default([low, high]);
}

export const trainSchema = z.strictObject({
  dataPath: option(text.nullable().default(null), {
    group: "Images",
    value: "DIR",
    help: "a folder of images per class, train/ and val/ with that, a CSV file of paths and labels, or Parquet files; not needed for cifar10 and cifar100",
  }),
  dataSet: option(dataSet.default("auto"), {
    group: "Images",
    help: "kind of dataset; auto looks at the folder (IMNET: folder, CIFAR: cifar100)",
  }),
  valSplit: option(rate.default(0.1), {
    group: "Images",
    value: "RATE",
    help: "part of the training images kept for validation when there is no val folder",
  }),
  holdOut: option(z.boolean().default(false), {
    group: "Images",
    help: "hold --val-split of the training images back even where there are validation images: to choose settings without looking at those",
  }),
  numTrain: option(count.nullable().default(null), {
    group: "Images",
    value: "N",
    nullMeans: "all",
    help: "train on a fixed subset of N images, every class in its proportion",
  }),

  model: option(text.default("deit_base_patch16_224"), {
    group: "Model",
    value: "NAME",
    help: "which model (deit models lists them)",
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
      help: "side of the images that the model sees, or HEIGHTxWIDTH; multiples of its patch",
    },
  ),
  drop: option(rate.default(0), {
    group: "Model",
    value: "RATE",
    help: "dropout after positions, attention and the layers of the feed-forward networks",
  }),
  attnDrop: option(rate.default(0), { group: "Model", value: "RATE", help: "dropout of attention weights" }),
  dropPath: option(rate.default(0.1), {
    group: "Model",
    value: "RATE",
    help: "stochastic depth of the last block; earlier blocks have less, the first none",
  }),

  finetune: option(text.nullable().default(null), {
    group: "Fine-tuning",
    value: "CKPT",
    nullMeans: "from scratch",
    help: "start from the weights of this checkpoint: a file, a run or model folder, a Hub id, an address; positions are interpolated, a head of other classes starts fresh",
  }),
  weights: option(text.nullable().default(null), {
    group: "Fine-tuning",
    value: "WHICH",
    nullMeans: "the trained ones",
    help: "which weights of a checkpoint that holds several: model (trained), ema (averaged), or their name in the file",
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
      help: "what is trained: all; head alone (linear probe); attention with positions and head; the last-N blocks and head; lora: low-rank adapters and head",
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
    help: "their weight is α/rank; they are merged into the saved model",
  }),
  trainMode: option(z.boolean().default(true), {
    group: "Fine-tuning",
    help: "train with stochastic depth and dropout; --no-train-mode trains as DeiT was fine-tuned: as in evaluation, a distilled model by the mean of its heads",
  }),
  classWeights: option(z.enum(["none", "balanced"]).default("none"), {
    group: "Fine-tuning",
    help: "balanced: a class with few images weighs more in the loss of the true labels",
  }),
  patience: option(count.nullable().default(null), {
    group: "Fine-tuning",
    value: "N",
    nullMeans: "train all epochs",
    help: "stop when top-1 has not risen for N validations",
  }),

  epochs: option(count.default(300), {
    group: "Training",
    value: "N",
    help: "passes over the training images",
  }),
  batchSize: option(count.default(64), {
    group: "Training",
    value: "N",
    aliases: ["batch"],
    help: "images in a batch",
  }),
  accumulationSteps: option(count.default(1), {
    group: "Training",
    value: "N",
    help: "batches whose gradients are averaged into one update",
  }),
  smoothing: option(rate.default(0.1), { group: "Training", value: "RATE", help: "label smoothing" }),
  bceLoss: option(z.boolean().default(false), {
    group: "Training",
    help: "binary cross-entropy with each class of the (mixed) label at 1, as DeiT III; wants --smoothing 0",
  }),
  modelEma: option(z.boolean().default(true), {
    group: "Training",
    help: "keep an exponential average of the weights; it is validated and saved, too",
  }),
  modelEmaDecay: option(rate.default(0.99996), {
    group: "Training",
    value: "RATE",
    help: "part of the average that stays after an update",
  }),
  modelEmaWarmup: option(z.boolean().default(false), {
    group: "Training",
    help: "begin with a small decay, for runs shorter than the average's memory",
  }),
  seed: option(z.int().min(0).default(0), {
    group: "Training",
    value: "N",
    help: "seed of everything random; the same seed gives the same run",
  }),

  opt: option(z.enum(["adamw", "sgd", "momentum"]).default("adamw"), {
    group: "Optimizer",
    help: "sgd is with Nesterov momentum, momentum without",
  }),
  lr: option(positive.default(5e-4), {
    group: "Optimizer",
    value: "RATE",
    help: "peak learning rate for 512 images a step, scaled to the real number unless --unscale-lr",
  }),
  unscaleLr: option(z.boolean().default(false), { group: "Optimizer", help: "take --lr as it is" }),
  weightDecay: option(z.number().min(0).default(0.05), {
    group: "Optimizer",
    value: "RATE",
    help: "not applied to biases, norms, class token and positions",
  }),
  optEps: option(positive.default(1e-8), { group: "Optimizer", value: "X", help: "epsilon of AdamW" }),
  optBetas: option(z.tuple([rate, rate]).default([0.9, 0.999]), {
    group: "Optimizer",
    value: "B1 B2",
    help: "decay rates of AdamW's two moments",
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
    help: "each block learns with the rate of the next one times this",
  }),
  clipGrad: option(positive.nullable().default(null), {
    group: "Optimizer",
    value: "NORM",
    nullMeans: "no clipping",
    help: "scale a gradient down to this global norm",
  }),

  sched: option(z.enum(["cosine", "step", "constant"]).default("cosine"), {
    group: "Schedule",
    help: "course of the learning rate after the warm-up",
  }),
  schedUnit: option(z.enum(["epoch", "step"]).default("epoch"), {
    group: "Schedule",
    help: "epoch is the reference's staircase, one epoch late; step is smooth and better for short runs",
  }),
  warmupEpochs: option(z.number().min(0).default(5), {
    group: "Schedule",
    value: "N",
    help: "epochs of linear warm-up",
  }),
  warmupLr: option(z.number().min(0).default(1e-6), {
    group: "Schedule",
    value: "RATE",
    help: "where the warm-up starts; never scaled",
  }),
  minLr: option(z.number().min(0).default(1e-5), {
    group: "Schedule",
    value: "RATE",
    help: "where the cosine ends; never scaled",
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
    help: "what such a drop multiplies the rate by",
  }),

  crop: option(z.enum(["auto", "resized", "padded", "none"]).default("auto"), {
    group: "Augmentation",
    help: "resized: random part, resized; padded: random shift by 4 pixels; auto: padded up to 32 pixels, else resized",
  }),
  scale: option(range(0.08, 1), {
    group: "Augmentation",
    value: "LOW HIGH",
    help: "area of a resized crop, as part of the image",
  }),
  ratio: option(range(3 / 4, 4 / 3), {
    group: "Augmentation",
    value: "LOW HIGH",
    help: "aspect ratio of a resized crop",
  }),
  hflip: option(z.number().min(0).max(1).default(0.5), {
    group: "Augmentation",
    value: "RATE",
    help: "how often a training image is mirrored",
  }),
  src: option(z.boolean().default(false), {
    group: "Augmentation",
    help: "simple random crop (DeiT III): shorter side resized, then a random shift by 4 pixels",
  }),
  trainInterpolation: option(z.enum(["bicubic", "bilinear", "random"]).default("bicubic"), {
    group: "Augmentation",
    help: "how training images are resized; random draws one of the two for each",
  }),
  aa: option(text.nullable().default("rand-m9-mstd0.5-inc1"), {
    group: "Augmentation",
    value: "POLICY",
    nullMeans: "none",
    help: "RandAugment or AutoAugment in timm's words: rand-m9-mstd0.5-inc1, original, v0, 3a, none",
  }),
  colorJitter: option(z.number().min(0).default(0.3), {
    group: "Augmentation",
    value: "STRENGTH",
    help: "change of brightness, contrast and saturation; only without --aa",
  }),
  threeAugment: option(z.boolean().default(false), {
    group: "Augmentation",
    help: "grey, solarized or blurred, then colour jitter (DeiT III); instead of --aa",
  }),
  reprob: option(z.number().min(0).max(1).default(0.25), {
    group: "Augmentation",
    value: "RATE",
    help: "how often a part of an image is erased",
  }),
  remode: option(z.enum(["pixel", "rand", "const"]).default("pixel"), {
    group: "Augmentation",
    help: "erased with noise, a random colour, or the mean",
  }),
  recount: option(count.default(1), { group: "Augmentation", value: "N", help: "parts that are erased" }),
  repeatedAug: option(z.boolean().default(true), {
    group: "Augmentation",
    help: "repeated augmentation: an image comes several times in a batch, an epoch sees fewer images",
  }),
  augRepeats: option(count.default(3), {
    group: "Augmentation",
    value: "N",
    help: "how many times with --repeated-aug",
  }),
  mixup: option(z.number().min(0).default(0.8), {
    group: "Augmentation",
    value: "ALPHA",
    help: "Mixup: images and labels blended by λ of Beta(α, α); 0 is off",
  }),
  cutmix: option(z.number().min(0).default(1), {
    group: "Augmentation",
    value: "ALPHA",
    help: "CutMix: a part of another image pasted in, its area 1 − λ of Beta(α, α); 0 is off",
  }),
  cutmixMinmax: option(shares.nullable().default(null), {
    group: "Augmentation",
    value: "LOW HIGH",
    nullMeans: "by Beta",
    help: "CutMix on, its sides of this share of the image's in place of Beta; --mixup 0 for CutMix alone",
  }),
  mixupProb: option(z.number().min(0).max(1).default(1), {
    group: "Augmentation",
    value: "RATE",
    help: "how often Mixup or CutMix is done",
  }),
  mixupSwitchProb: option(z.number().min(0).max(1).default(0.5), {
    group: "Augmentation",
    value: "RATE",
    help: "how often CutMix where both are on",
  }),
  mixupMode: option(z.enum(["batch", "pair", "elem"]).default("batch"), {
    group: "Augmentation",
    help: "one λ for the batch, for each pair, or for each image",
  }),
  evalCropRatio: option(positive.max(1).default(0.875), {
    group: "Augmentation",
    value: "RATE",
    aliases: ["crop-ratio"],
    help: "part of the resized image that evaluation looks at (also --crop-ratio)",
  }),
  mean: option(colour.default(IMAGENET_MEAN), {
    group: "Augmentation",
    value: "R G B",
    help: "subtracted from images of 0 to 1, by channel",
  }),
  std: option(z.tuple([positive, positive, positive]).default(IMAGENET_STD), {
    group: "Augmentation",
    value: "R G B",
    help: "divides them, by channel",
  }),

  distillationType: option(z.enum(["none", "soft", "hard", "soft-labels", "labels"]).default("none"), {
    group: "Distillation",
    help: "what is learnt from a teacher: hard its decisions, soft its probabilities by KL at temperature tau, soft-labels those as a label; labels: no teacher, the distillation token learns the true labels, too",
  }),
  distillationAlpha: option(z.number().min(0).max(1).default(0.5), {
    group: "Distillation",
    value: "ALPHA",
    help: "weight of the distillation loss; that of the true labels is 1 − α",
  }),
  distillationTau: option(positive.default(1), {
    group: "Distillation",
    value: "TAU",
    help: "temperature of soft distillation (the paper: 3)",
  }),
  distillationReduction: option(z.enum(["mean", "batchmean"]).default("mean"), {
    group: "Distillation",
    help: "divide the soft loss by batch × classes, as the reference, or by the batch, as the equation",
  }),
  distillationHead: option(z.enum(["token", "class"]).default("token"), {
    group: "Distillation",
    help: "which head learns from the teacher: the distillation token's, or a plain model's only one",
  }),
  distillationLabels: option(rate.default(0), {
    group: "Distillation",
    value: "RATE",
    help: "part of the true labels in the distillation token's loss",
  }),
  teacherModel: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "NAME",
    nullMeans: "what the file says",
    help: "which model the teacher is",
  }),
  teacherPath: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "CKPT",
    nullMeans: "none",
    help: "the teacher: a checkpoint as for --finetune, or any ONNX classifier",
  }),
  teacherWeights: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "WHICH",
    nullMeans: "the trained ones",
    help: "which weights of the teacher's file, as --weights",
  }),
  teacherInputSize: option(count.nullable().default(null), {
    group: "Distillation",
    value: "PIXELS",
    nullMeans: "the teacher's own",
    help: "height and width that the teacher sees the student's images in",
  }),
  teacherMean: option(colour.nullable().default(null), {
    group: "Distillation",
    value: "R G B",
    nullMeans: "the teacher's own, else ImageNet's",
    help: "mean of the teacher's normalisation",
  }),
  teacherStd: option(z.tuple([positive, positive, positive]).nullable().default(null), {
    group: "Distillation",
    value: "R G B",
    nullMeans: "the teacher's own, else ImageNet's",
    help: "standard deviation of the teacher's normalisation",
  }),
  teacherCache: option(text.nullable().default(null), {
    group: "Distillation",
    value: "DIR",
    nullMeans: "none",
    help: "keep the teacher's answers here, for other students who see the same images",
  }),
  teacherCacheGib: option(positive.default(2), {
    group: "Distillation",
    value: "N",
    help: "size that --teacher-cache may have",
  }),

  device: option(z.enum(["auto", "cpu", "webgpu", "cuda"]).default("auto"), {
    group: "Machine",
    help: "where the model runs; auto: webgpu where there is a graphics card, else the cpu (nothing is timed)",
  }),
  threads: option(count.nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "one per core",
    help: "CPU threads of the model",
  }),
  stepsPerRun: option(count.nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "1, and several on cuda and webgpu",
    help: "training steps handed to the device together, so that it need not wait for batches (cuda: nor for weights, which cross the bus at every call); the same run; what it gains has not been measured on a graphics card",
  }),
  precision: option(z.enum(["float32", "float16", "auto"]).default("float32"), {
    group: "Machine",
    help: "what activations and matrix products are computed in; float16 is mixed precision with float32 weights and a scaled loss (the reference's AMP); auto: float16 on cuda, else float32; no graphics card has run float16 yet",
  }),
  recompute: option(z.boolean().default(false), {
    group: "Machine",
    help: "compute the inside of every block again in the backward pass instead of keeping it: the same numbers, about a sixth of the memory that an image takes, a quarter to a third more time",
  }),
  workers: option(z.int().min(0).nullable().default(null), {
    group: "Machine",
    value: "N",
    nullMeans: "by the number of cores",
    aliases: ["num-workers"],
    help: "threads that read and prepare images; any number gives the same run",
  }),

  outputDir: option(text.nullable().default(null), {
    group: "Run folder",
    value: "DIR",
    nullMeans: "runs/DATA-MODEL",
    help: "where weights, log and report go; starting again in the same folder resumes",
  }),
  evalEvery: option(count.default(1), {
    group: "Run folder",
    value: "N",
    help: "validate every N epochs, and after the last",
  }),
  selectEpoch: option(z.enum(["auto", "best", "last"]).default("auto"), {
    group: "Run folder",
    help: "epoch that best.safetensors is of: the best in validation or the last; auto: the last with fewer than 200 held-out images, unless --patience is given",
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
    help: "also save when N minutes have passed since the last time",
  }),
});

/** A training option's name. */
export type TrainOptionName = keyof typeof trainSchema.shape;
/** What a recipe, a config file or code gives: every option may be left out. */
export type { TrainInput } from "./train-input.ts";
/** Every option with its value. `outputDir` is filled in by parseTrainOptions and by the command line. */
export type TrainOptions = z.output<typeof trainSchema> & { outputDir: string };

/** Option names in the order of the schema. */
export const TRAIN_OPTION_NAMES: readonly TrainOptionName[] = trainSchema.keyof().options;

/** Options that say how a run is carried out, not what comes of it: they may change when it is resumed. */
export const MAY_DIFFER_ON_RESUME: readonly TrainOptionName[] = [
  "outputDir",
  "device",
  "threads",
  "stepsPerRun",
  "precision",
  "recompute",
  "workers",
  "teacherCache",
  "teacherCacheGib",
  "saveEvery",
  "saveSteps",
  "saveMinutes",
];

/** The JSON Schema (2020-12) of a recipe or config file, for editors and other tools. */
export function trainJsonSchema(): object {
  return z.toJSONSchema(trainSchema, { io: "input" });
}
