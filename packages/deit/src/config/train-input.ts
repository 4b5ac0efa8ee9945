/** Made of schema.ts by scripts/generate-train-input.ts: do not edit. */

/** Options of training, by name; every one may be left out. */
// oxlint-disable-next-line typescript/consistent-type-definitions -- an interface is not a record of options
export type TrainInput = {
  // Images.
  /** Folder with a sub-folder of images per class (or train/ and val/ with these), CSV file of paths and labels, or Parquet files; not needed for cifar10 and cifar100. */
  readonly dataPath?: string | null | undefined;
  /** Kind of dataset; auto: detected from the folder (IMNET: folder, CIFAR: cifar100). */
  readonly dataSet?: "auto" | "folder" | "cifar10" | "cifar100" | "IMNET" | "CIFAR" | undefined;
  /** Fraction of the training images held out for validation when there is no val folder. Default: 0.1. */
  readonly valSplit?: number | undefined;
  /** Hold out `valSplit` of the training images even if there are validation images, to choose settings without using those. Default: false. */
  readonly holdOut?: boolean | undefined;
  /** Train on a fixed random subset of N images, stratified by class. Default: all. */
  readonly numTrain?: number | null | undefined;

  // Model.
  /** Model name (deit models lists them). Default: "deit_base_patch16_224". */
  readonly model?: string | undefined;
  /** Image size that the model takes: PIXELS or HEIGHTxWIDTH, a multiple of the patch size. Default: the model's own. */
  readonly inputSize?: number | readonly [number, number] | null | undefined;
  /** Dropout after position embeddings, attention and MLP layers. Default: 0. */
  readonly drop?: number | undefined;
  /** Dropout of attention weights. Default: 0. */
  readonly attnDrop?: number | undefined;
  /** Stochastic depth of the last block; decreases linearly to 0 at the first. Default: 0.1. */
  readonly dropPath?: number | undefined;

  // Fine-tuning.
  /** Start from the weights of this checkpoint: file, run or model folder, Hub id or URL; position embeddings are interpolated, a head for other classes is initialised anew. Default: from scratch. */
  readonly finetune?: string | null | undefined;
  /** Weights to use from a checkpoint that holds several: model (trained), ema (averaged), or their key in the file. Default: the trained ones. */
  readonly weights?: string | null | undefined;
  /** What to train: all; head (linear probe); attention, with position embeddings and head; last-N blocks and head; lora: low-rank adapters and head. Default: "all". */
  readonly trainable?: string | undefined;
  /** Rank of the adapters of `trainable` lora, on all linear layers of the blocks. Default: 8. */
  readonly loraRank?: number | undefined;
  /** Scale of the adapters: α/rank; they are merged into the saved model. Default: 16. */
  readonly loraAlpha?: number | undefined;
  /** Train with stochastic depth and dropout; `trainMode: false` trains as DeiT was fine-tuned: in evaluation mode, a distilled model by the mean of its heads. Default: true. */
  readonly trainMode?: boolean | undefined;
  /** Balanced: classes with few images weigh more in the loss of the true labels. Default: "none". */
  readonly classWeights?: "none" | "balanced" | undefined;
  /** Stop when top-1 has not improved for N validations. Default: train all epochs. */
  readonly patience?: number | null | undefined;

  // Training.
  /** Passes over the training images. Default: 300. */
  readonly epochs?: number | undefined;
  /** Images per batch. Default: 64. */
  readonly batchSize?: number | undefined;
  /** Batches whose gradients are averaged for one update. Default: 1. */
  readonly accumulationSteps?: number | undefined;
  /** Label smoothing. Default: 0.1. */
  readonly smoothing?: number | undefined;
  /** Binary cross-entropy in which every class of the (mixed) label has target 1, as in DeiT III; requires `smoothing` 0. Default: false. */
  readonly bceLoss?: boolean | undefined;
  /** Keep an exponential moving average (EMA) of the weights; it is validated and saved as well. Default: true. */
  readonly modelEma?: boolean | undefined;
  /** Decay of the EMA per update. Default: 0.99996. */
  readonly modelEmaDecay?: number | undefined;
  /** Start with a small EMA decay, for short runs. Default: false. */
  readonly modelEmaWarmup?: boolean | undefined;
  /** Random seed; the same seed gives the same run. Default: 0. */
  readonly seed?: number | undefined;

  // Optimizer.
  /** Lamb: DeiT III's, which clips gradients to norm 1 unless `clipGrad` sets another norm; sgd has Nesterov momentum, momentum has plain momentum. Default: "adamw". */
  readonly opt?: "adamw" | "lamb" | "sgd" | "momentum" | undefined;
  /** Peak learning rate for 512 images a step, scaled to the actual number unless `unscaleLr`. Default: 0.0005. */
  readonly lr?: number | undefined;
  /** Use `lr` as given. Default: false. */
  readonly unscaleLr?: boolean | undefined;
  /** Not applied to biases, norms, class token and positions. Default: 0.05. */
  readonly weightDecay?: number | undefined;
  /** Epsilon of AdamW and LAMB. Default: 1e-8. */
  readonly optEps?: number | undefined;
  /** Decay rates of the two moments of AdamW and LAMB. Default: [0.9,0.999]. */
  readonly optBetas?: readonly [number, number] | undefined;
  /** Momentum of sgd and momentum. Default: 0.9. */
  readonly momentum?: number | undefined;
  /** Layer-wise decay: the learning rate of a block is that of the next one times RATE. Default: one rate for all layers. */
  readonly layerDecay?: number | null | undefined;
  /** Clip gradients to this global norm. Default: no clipping. */
  readonly clipGrad?: number | null | undefined;

  // Schedule.
  /** Learning rate schedule after the warm-up. Default: "cosine". */
  readonly sched?: "cosine" | "step" | "constant" | undefined;
  /** When the learning rate changes; epoch: once an epoch, one epoch late, as in the reference; step: every step, better for short runs. Default: "epoch". */
  readonly schedUnit?: "epoch" | "step" | undefined;
  /** Epochs of linear warm-up. Default: 5. */
  readonly warmupEpochs?: number | undefined;
  /** Learning rate at the start of the warm-up; never scaled. Default: 0.000001. */
  readonly warmupLr?: number | undefined;
  /** Learning rate at the end of the cosine; never scaled. Default: 0.00001. */
  readonly minLr?: number | undefined;
  /** Epochs between the drops of `sched` step. Default: 30. */
  readonly decayEpochs?: number | undefined;
  /** Factor of the drops of `sched` step. Default: 0.1. */
  readonly decayRate?: number | undefined;

  // Augmentation.
  /** Training crop; resized: random area, resized; padded: random shift by 4 pixels; auto: padded up to 32 pixels, else resized. Default: "auto". */
  readonly crop?: "auto" | "resized" | "padded" | "none" | undefined;
  /** Area of a resized crop, as a fraction of the image. Default: [0.08,1]. */
  readonly scale?: readonly [number, number] | undefined;
  /** Aspect ratio of a resized crop. Default: [0.75,1.3333333333333333]. */
  readonly ratio?: readonly [number, number] | undefined;
  /** Probability of a horizontal flip. Default: 0.5. */
  readonly hflip?: number | undefined;
  /** Simple random crop (DeiT III): resize the shorter side, then shift at random by 4 pixels. Default: false. */
  readonly src?: boolean | undefined;
  /** Filter for resizing training images; random: bicubic or bilinear, drawn for each image. Default: "bicubic". */
  readonly trainInterpolation?: "bicubic" | "bilinear" | "random" | undefined;
  /** RandAugment or AutoAugment policy in timm's notation: rand-m9-mstd0.5-inc1, original, v0, 3a, none. Default: "rand-m9-mstd0.5-inc1". */
  readonly aa?: string | null | undefined;
  /** Strength of brightness, contrast and saturation jitter; only without `aa`. Default: 0.3. */
  readonly colorJitter?: number | undefined;
  /** 3-Augment (DeiT III): grayscale, solarize or blur, then colour jitter; replaces `aa`. Default: false. */
  readonly threeAugment?: boolean | undefined;
  /** Probability of random erasing. Default: 0.25. */
  readonly reprob?: number | undefined;
  /** What erased regions are filled with: noise, a random colour, or the mean. Default: "pixel". */
  readonly remode?: "pixel" | "rand" | "const" | undefined;
  /** Regions erased per image. Default: 1. */
  readonly recount?: number | undefined;
  /** Repeated augmentation: an image several times in a batch, fewer images in an epoch. Default: true. */
  readonly repeatedAug?: boolean | undefined;
  /** Repetitions of each image with `repeatedAug`. Default: 3. */
  readonly augRepeats?: number | undefined;
  /** Mixup: blend images and labels by λ from Beta(α, α); 0: off. Default: 0.8. */
  readonly mixup?: number | undefined;
  /** CutMix: paste a region of another image, of area 1 − λ, λ from Beta(α, α); 0: off. Default: 1. */
  readonly cutmix?: number | undefined;
  /** CutMix with sides of this fraction of the image's, instead of Beta; `mixup` 0 for CutMix alone. Default: by Beta. */
  readonly cutmixMinmax?: readonly [number, number] | null | undefined;
  /** Probability of Mixup or CutMix. Default: 1. */
  readonly mixupProb?: number | undefined;
  /** Probability of CutMix where both are on. Default: 0.5. */
  readonly mixupSwitchProb?: number | undefined;
  /** One λ per batch, per pair, or per image. Default: "batch". */
  readonly mixupMode?: "batch" | "pair" | "elem" | undefined;
  /** Fraction of the resized image that evaluation sees (also `cropRatio`). Default: 0.875. */
  readonly evalCropRatio?: number | undefined;
  /** Mean of the normalisation, by channel, for pixels from 0 to 1. Default: [0.485,0.456,0.406]. */
  readonly mean?: readonly [number, number, number] | undefined;
  /** Standard deviation of the normalisation, by channel. Default: [0.229,0.224,0.225]. */
  readonly std?: readonly [number, number, number] | undefined;

  // Distillation.
  /** Distillation loss; hard: the teacher's decision as a label; soft: KL divergence from its probabilities at temperature `distillationTau`; soft-labels: its probabilities as a label; feature: 1 − cosine between a projection of the student's token and the teacher's embedding; labels: no teacher, the distillation token learns the true labels. Default: "none". */
  readonly distillationType?: "none" | "soft" | "hard" | "soft-labels" | "feature" | "labels" | undefined;
  /** Weight α of the distillation loss; the loss of the true labels has 1 − α. Default: 0.5. */
  readonly distillationAlpha?: number | undefined;
  /** Temperature of soft distillation (the paper: 3). Default: 1. */
  readonly distillationTau?: number | undefined;
  /** Mean: divide the soft loss by batch × classes, as the reference does; batchmean: by the batch, as in the paper's equation. Default: "mean". */
  readonly distillationReduction?: "mean" | "batchmean" | undefined;
  /** Which head learns from the teacher: the distillation token's, or the class token's, of a model without the other. Default: "token". */
  readonly distillationHead?: "token" | "class" | undefined;
  /** Weight of the true labels in the loss of the distillation head. Default: 0. */
  readonly distillationLabels?: number | undefined;
  /** Model name of the teacher. Default: what the file says. */
  readonly teacherModel?: string | null | undefined;
  /** Teacher: a checkpoint as for `finetune`, or any ONNX classifier (feature: any ONNX file with an image embedding). Default: none. */
  readonly teacherPath?: string | null | undefined;
  /** Weights to use from the teacher's checkpoint, as `weights`. Default: the trained ones. */
  readonly teacherWeights?: string | null | undefined;
  /** Size that the student's images are resized to for the teacher. Default: the teacher's own. */
  readonly teacherInputSize?: number | null | undefined;
  /** Mean of the teacher's normalisation. Default: the teacher's own, else ImageNet's. */
  readonly teacherMean?: readonly [number, number, number] | null | undefined;
  /** Standard deviation of the teacher's normalisation. Default: the teacher's own, else ImageNet's. */
  readonly teacherStd?: readonly [number, number, number] | null | undefined;
  /** Cache the teacher's outputs in this folder, for other students that see the same images. Default: none. */
  readonly teacherCache?: string | null | undefined;
  /** Largest size of `teacherCache`, in GiB. Default: 2. */
  readonly teacherCacheGib?: number | undefined;

  // Machine.
  /** Where the model runs; auto: webgpu if there is a graphics card, else cpu (speed is not compared). Default: "auto". */
  readonly device?: "auto" | "cpu" | "webgpu" | "cuda" | undefined;
  /** CPU threads for the model. Default: one per core. */
  readonly threads?: number | null | undefined;
  /** Training steps sent to the device at once, so that it does not wait for the host; the result is the same; the gain has not been measured on a graphics card. Default: 1, and several on cuda and webgpu. */
  readonly stepsPerRun?: number | null | undefined;
  /** Precision of activations and matrix products; float16: mixed precision, with float32 weights and a scaled loss (the reference's AMP); auto: float16 on cuda, else float32; float16 has not been run on a graphics card yet. Default: "float32". */
  readonly precision?: "float32" | "float16" | "auto" | undefined;
  /** Recompute the activations of each block in the backward pass (gradient checkpointing): the same result, a sixth of the memory per image, 25 to 33 % more time. Default: false. */
  readonly recompute?: boolean | undefined;
  /** Threads that read and augment images; the result does not depend on it. Default: by the number of cores. */
  readonly workers?: number | null | undefined;
  /** Processes on this machine that train together, started with mpirun; each computes batches of `batchSize` images, an update takes those of all (docs/scaling.md). Default: 1, or as many as mpirun starts. */
  readonly ranks?: number | null | undefined;
  /** With several ranks: end them all when one has waited for another for so long. Default: 60. */
  readonly rankTimeout?: number | undefined;

  // Run folder.
  /** Folder for weights, log and report; the same command again resumes its run. Default: runs/DATA-MODEL. */
  readonly outputDir?: string | null | undefined;
  /** Validate every N epochs, and after the last. Default: 1. */
  readonly evalEvery?: number | undefined;
  /** Epoch to save as best.safetensors: best in validation, or last; auto: last if fewer than 200 images are held out, unless `patience` is given. Default: "auto". */
  readonly selectEpoch?: "auto" | "best" | "last" | undefined;
  /** Save every N epochs, and after the last. Default: 1. */
  readonly saveEvery?: number | undefined;
  /** Also save every N steps. Default: only after epochs. */
  readonly saveSteps?: number | null | undefined;
  /** Also save N minutes after the last save. Default: 10. */
  readonly saveMinutes?: number | null | undefined;
};
