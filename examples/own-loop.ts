// A training loop of one's own: node own-loop.ts FOLDER OUT.safetensors [EPOCHS]
import { openClassifier, saveModel } from "deit-ts";
import { createLoader, createPlan, IMAGENET_NORMALISATION, openDatasets } from "deit-ts/data";
import { createRandom, createRuntime } from "deit-ts/graph";
import * as nn from "deit-ts/models";

const [dataPath = "photos", out = "own.safetensors", epochs = "10"] = process.argv.slice(2);
const batchSize = 16;
const { train, validation } = await openDatasets({ dataPath });
const { classes, length } = train;
const model = nn.createModel("deit_w64d4_patch4_32", { numClasses: classes.length });
const [layout, optimizer] = [nn.modelLayout(model), nn.adamW({ weightDecay: 0.05 })];

// One optimizer step is one program: forward, loss, gradient and update.
const runtime = await createRuntime();
const shared = { model, layout, batchSize, target: runtime.target, normalisation: IMAGENET_NORMALISATION };
const task = nn.classification(nn.softTargetCrossEntropy);
const step = await runtime.load(nn.stepProgram(shared, { task, optimizer, clipGrad: 1 }));
const start = nn.initialState(layout, optimizer, nn.initialVectors(layout, createRandom(0)));
for (const [name, vector] of Object.entries(start)) await runtime.setState(name, vector);

const transform = { mode: "train", size: model.config.inputSize, augment: "rand-m5" } as const;
const plan = createPlan({ mode: "train", length, batchSize, seed: 0 });
const loader = createLoader({ dataset: train, transform, plan });
for (let epoch = 0, update = 0; epoch < Number(epochs); epoch++) {
  for await (const { images, labels } of loader.epoch(epoch)) {
    const targets = nn.smoothTargets(labels, classes.length, 0.1);
    const hyper = nn.hyperFeeds({ layout, optimizer }, { update: ++update, lr: 1e-3 });
    const { loss } = await step.run({ images, targets, ...hyper });
    if (update % 10 === 0) console.log(`epoch ${epoch + 1}, update ${update}: loss ${loss?.[0]}`);
  }
}
const vectors: Record<string, Float32Array> = {};
for (const { name } of layout.vectors) vectors[name] = await runtime.getState(`W.${name}`);
await runtime.close();
await saveModel(out, { model, tensors: nn.unpackTensors(layout, vectors), metadata: { classes } });
await using classifier = await openClassifier(out);
console.log(`top-1: ${(await classifier.evaluate(validation ?? train)).acc1.toFixed(1)} %`);
