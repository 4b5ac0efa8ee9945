/** Made of schema.ts by scripts/generate-train-input.ts: do not edit. */

/** Options of training, by name; every one may be left out. */
// oxlint-disable-next-line typescript/consistent-type-definitions -- an interface is no record of options
export type TrainInput = {
  // Images.
  /** A folder of images per class, train/ and val/ with that, a CSV file of paths and labels, or Parquet files; not needed for cifar10 and cifar100. */
  readonly dataPath?: string | null | undefined;
  /** Kind of dataset; auto looks at the folder (IMNET: folder, CIFAR: cifar100). */
  readonly dataSet?: "auto" | "folder" | "cifar10" | "cifar100" | "IMNET" | "CIFAR" | undefined;
  /** Part of the training images kept for validation when there is no val folder. Default: 0.1. */
  readonly valSplit?: number | undefined;
  /** Hold `valSplit` of the training images back even where there are validation images: to choose settings without looking at those. Default: false. */
  readonly holdOut?: boolean | undefined;
  /** Train on a fixed subset of N images, every class in its proportion. Default: all. */
  readonly numTrain?: number | null | undefined;

  // Model.
  /** Which model (deit models lists them). Default: "deit_base_patch16_224". */
  readonly model?: string | undefined;
  /** Side of the images that the model sees, or HEIGHTxWIDTH; multiples of its patch. Default: the model's own. */
  readonly inputSize?: number | readonly [number, number] | null | undefined;
  /** Dropout after positions, attention and the layers of the feed-forward networks. Default: 0. */
  readonly drop?: number | undefined;
  /** Dropout of attention weights. Default: 0. */
  readonly attnDrop?: number | undefined;
  /** Stochastic depth of the last block; earlier blocks have less, the first none. Default: 0.1. */
  readonly dropPath?: number | undefined;

  // Fine-tuning.
  /** Start from the weights of this checkpoint: a file, a run or model folder, a Hub id, an address; positions are interpolated, a head of other classes starts fresh. Default: from scratch. */
  readonly finetune?: string | null | undefined;
  /** Which weights of a checkpoint that holds several: model (trained), ema (averaged), or their name in the file. Default: the trained ones. */
  readonly weights?: string | null | undefined;
  /** What is trained: all; head alone (linear probe); attention with positions and head; the last-N blocks and head; lora: low-rank adapters and head. Default: "all". */
  readonly trainable?: string | undefined;
  /** Rank of the adapters of `trainable` lora, on all linear layers of the blocks. Default: 8. */
  readonly loraRank?: number | undefined;
  /** Their weight is α/rank; they are merged into the saved model. Default: 16. */
  readonly loraAlpha?: number | undefined;
  /** Train with stochastic depth and dropout; `trainMode: false` trains as DeiT was fine-tuned: as in evaluation, a distilled model by the mean of its heads. Default: true. */
  readonly trainMode?: boolean | undefined;
  /** Balanced: a class with few images weighs more in the loss of the true labels. Default: "none". */
  readonly classWeights?: "none" | "balanced" | undefined;
  /** Stop when top-1 has not risen for N validations. Default: train all epochs. */
  readonly patience?: number | null | undefined;

  // Training.
  /** Passes over the training images. Default: 300. */
  readonly epochs?: number | undefined;
  /** Images in a batch. Default: 64. */
  readonly batchSize?: number | undefined;
  /** Batches whose gradients are averaged into one update. Default: 1. */
  readonly accumulationSteps?: number | undefined;
  /** Label smoothing. Default: 0.1. */
  readonly smoothing?: number | undefined;
  /** Binary cross-entropy with each class of the (mixed) label at 1, as DeiT III; wants `smoothing` 0. Default: false. */
  readonly bceLoss?: boolean | undefined;
  /** Keep an exponential average of the weights; it is validated and saved, too. Default: true. */
  readonly modelEma?: boolean | undefined;
  /** Part of the average that stays after an update. Default: 0.99996. */
  readonly modelEmaDecay?: number | undefined;
  /** Begin with a small decay, for runs shorter than the average's memory. Default: false. */
  readonly modelEmaWarmup?: boolean | undefined;
  /** Seed of everything random; the same seed gives the same run. Default: 0. */
  readonly seed?: number | undefined;

  // Optimizer.
  /** Sgd is with Nesterov momentum, momentum without. Default: "adamw". */
  readonly opt?: "adamw" | "sgd" | "momentum" | undefined;
  /** Peak learning rate for 512 images a step, scaled to the real number unless `unscaleLr`. Default: 0.0005. */
  readonly lr?: number | undefined;
  /** Take `lr` as it is. Default: false. */
  readonly unscaleLr?: boolean | undefined;
  /** Not applied to biases, norms, class token and positions. Default: 0.05. */
  readonly weightDecay?: number | undefined;
  /** Epsilon of AdamW. Default: 1e-8. */
  readonly optEps?: number | undefined;
  /** Decay rates of AdamW's two moments. Default: [0.9,0.999]. */
  readonly optBetas?: readonly [number, number] | undefined;
  /** Momentum of sgd and momentum. Default: 0.9. */
  readonly momentum?: number | undefined;
  /** Each block learns with the rate of the next one times this. Default: one rate for all layers. */
  readonly layerDecay?: number | null | undefined;
  /** Scale a gradient down to this global norm. Default: no clipping. */
  readonly clipGrad?: number | null | undefined;

  // Schedule.
  /** Course of the learning rate after the warm-up. Default: "cosine". */
  readonly sched?: "cosine" | "step" | "constant" | undefined;
  /** Epoch is the reference's staircase, one epoch late; step is smooth and better for short runs. Default: "epoch". */
  readonly schedUnit?: "epoch" | "step" | undefined;
  /** Epochs of linear warm-up. Default: 5. */
  readonly warmupEpochs?: number | undefined;
  /** Where the warm-up starts; never scaled. Default: 0.000001. */
  readonly warmupLr?: number | undefined;
  /** Where the cosine ends; never scaled. Default: 0.00001. */
  readonly minLr?: number | undefined;
  /** Epochs between the drops of `sched` step. Default: 30. */
  readonly decayEpochs?: number | undefined;
  /** What such a drop multiplies the rate by. Default: 0.1. */
  readonly decayRate?: number | undefined;

  // Augmentation.
  /** Resized: random part, resized; padded: random shift by 4 pixels; auto: padded up to 32 pixels, else resized. Default: "auto". */
  readonly crop?: "auto" | "resized" | "padded" | "none" | undefined;
  /** Area of a resized crop, as part of the image. Default: [0.08,1]. */
  readonly scale?: readonly [number, number] | undefined;
  /** Aspect ratio of a resized crop. Default: [0.75,1.3333333333333333]. */
  readonly ratio?: readonly [number, number] | undefined;
  /** How often a training image is mirrored. Default: 0.5. */
  readonly hflip?: number | undefined;
  /** Simple random crop (DeiT III): shorter side resized, then a random shift by 4 pixels. Default: false. */
  readonly src?: boolean | undefined;
  /** How training images are resized; random draws one of the two for each. Default: "bicubic". */
  readonly trainInterpolation?: "bicubic" | "bilinear" | "random" | undefined;
  /** RandAugment or AutoAugment in timm's words: rand-m9-mstd0.5-inc1, original, v0, 3a, none. Default: "rand-m9-mstd0.5-inc1". */
  readonly aa?: string | null | undefined;
  /** Change of brightness, contrast and saturation; only without `aa`. Default: 0.3. */
  readonly colorJitter?: number | undefined;
  /** Grey, solarized or blurred, then colour jitter (DeiT III); instead of `aa`. Default: false. */
  readonly threeAugment?: boolean | undefined;
  /** How often a part of an image is erased. Default: 0.25. */
  readonly reprob?: number | undefined;
  /** Erased with noise, a random colour, or the mean. Default: "pixel". */
  readonly remode?: "pixel" | "rand" | "const" | undefined;
  /** Parts that are erased. Default: 1. */
  readonly recount?: number | undefined;
  /** Repeated augmentation: an image comes several times in a batch, an epoch sees fewer images. Default: true. */
  readonly repeatedAug?: boolean | undefined;
  /** How many times with `repeatedAug`. Default: 3. */
  readonly augRepeats?: number | undefined;
  /** Mixup: images and labels blended by λ of Beta(α, α); 0 is off. Default: 0.8. */
  readonly mixup?: number | undefined;
  /** CutMix: a part of another image pasted in, its area 1 − λ of Beta(α, α); 0 is off. Default: 1. */
  readonly cutmix?: number | undefined;
  /** CutMix on, its sides of this share of the image's in place of Beta; `mixup` 0 for CutMix alone. Default: by Beta. */
  readonly cutmixMinmax?: readonly [number, number] | null | undefined;
  /** How often Mixup or CutMix is done. Default: 1. */
  readonly mixupProb?: number | undefined;
  /** How often CutMix where both are on. Default: 0.5. */
  readonly mixupSwitchProb?: number | undefined;
  /** One λ for the batch, for each pair, or for each image. Default: "batch". */
  readonly mixupMode?: "batch" | "pair" | "elem" | undefined;
  /** Part of the resized image that evaluation looks at (also `cropRatio`). Default: 0.875. */
  readonly evalCropRatio?: number | undefined;
  /** Subtracted from images of 0 to 1, by channel. Default: [0.485,0.456,0.406]. */
  readonly mean?: readonly [number, number, number] | undefined;
  /** Divides them, by channel. Default: [0.229,0.224,0.225]. */
  readonly std?: readonly [number, number, number] | undefined;

  // Distillation.
  /** What is learnt from a teacher: hard its decisions, soft its probabilities by KL at temperature tau, soft-labels those as a label; labels: no teacher, the distillation token learns the true labels, too. Default: "none". */
  readonly distillationType?: "none" | "soft" | "hard" | "soft-labels" | "labels" | undefined;
  /** Weight of the distillation loss; that of the true labels is 1 − α. Default: 0.5. */
  readonly distillationAlpha?: number | undefined;
  /** Temperature of soft distillation (the paper: 3). Default: 1. */
  readonly distillationTau?: number | undefined;
  /** Divide the soft loss by batch × classes, as the reference, or by the batch, as the equation. Default: "mean". */
  readonly distillationReduction?: "mean" | "batchmean" | undefined;
  /** Which head learns from the teacher: the distillation token's, or a plain model's only one. Default: "token". */
  readonly distillationHead?: "token" | "class" | undefined;
  /** Part of the true labels in the distillation token's loss. Default: 0. */
  readonly distillationLabels?: number | undefined;
  /** Which model the teacher is. Default: what the file says. */
  readonly teacherModel?: string | null | undefined;
  /** The teacher: a checkpoint as for `finetune`, or any ONNX classifier. Default: none. */
  readonly teacherPath?: string | null | undefined;
  /** Which weights of the teacher's file, as `weights`. Default: the trained ones. */
  readonly teacherWeights?: string | null | undefined;
  /** Height and width that the teacher sees the student's images in. Default: the teacher's own. */
  readonly teacherInputSize?: number | null | undefined;
  /** Mean of the teacher's normalisation. Default: the teacher's own, else ImageNet's. */
  readonly teacherMean?: readonly [number, number, number] | null | undefined;
  /** Standard deviation of the teacher's normalisation. Default: the teacher's own, else ImageNet's. */
  readonly teacherStd?: readonly [number, number, number] | null | undefined;
  /** Keep the teacher's answers here, for other students who see the same images. Default: none. */
  readonly teacherCache?: string | null | undefined;
  /** Size that `teacherCache` may have. Default: 2. */
  readonly teacherCacheGib?: number | undefined;

  // Machine.
  /** Where the model runs; auto: webgpu where there is a graphics card, else the cpu (nothing is timed). Default: "auto". */
  readonly device?: "auto" | "cpu" | "webgpu" | "cuda" | undefined;
  /** CPU threads of the model. Default: one per core. */
  readonly threads?: number | null | undefined;
  /** Training steps handed to the device together, so that it need not wait for batches (cuda: nor for weights, which cross the bus at every call); the same run; what it gains has not been measured on a graphics card. Default: 1, and several on cuda and webgpu. */
  readonly stepsPerRun?: number | null | undefined;
  /** What activations and matrix products are computed in; float16 is mixed precision with float32 weights and a scaled loss (the reference's AMP); auto: float16 on cuda, else float32; no graphics card has run float16 yet. Default: "float32". */
  readonly precision?: "float32" | "float16" | "auto" | undefined;
  /** Compute the inside of every block again in the backward pass instead of keeping it: the same numbers, about a sixth of the memory that an image takes, a quarter to a third more time. Default: false. */
  readonly recompute?: boolean | undefined;
  /** Threads that read and prepare images; any number gives the same run. Default: by the number of cores. */
  readonly workers?: number | null | undefined;

  // Run folder.
  /** Where weights, log and report go; starting again in the same folder resumes. Default: runs/DATA-MODEL. */
  readonly outputDir?: string | null | undefined;
  /** Validate every N epochs, and after the last. Default: 1. */
  readonly evalEvery?: number | undefined;
  /** Epoch that best.safetensors is of: the best in validation or the last; auto: the last with fewer than 200 held-out images, unless `patience` is given. Default: "auto". */
  readonly selectEpoch?: "auto" | "best" | "last" | undefined;
  /** Save every N epochs, and after the last. Default: 1. */
  readonly saveEvery?: number | undefined;
  /** Also save every N steps. Default: only after epochs. */
  readonly saveSteps?: number | null | undefined;
  /** Also save when N minutes have passed since the last time. Default: 10. */
  readonly saveMinutes?: number | null | undefined;
};
