/** The model's shortcuts, contexts and heads, in float64. (Against timm: timm.slow.test.ts.) */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { add, mul, sum } from "../../src/graph/ops.ts";
import { optimizeForward } from "../../src/graph/passes/forward.ts";
import { jointLogits } from "../../src/models/heads.ts";
import type { VisionTransformer } from "../../src/models/registry.ts";
import { createDeit, modelOf } from "../../src/models/registry.ts";
import { DROP_PATH_INPUT, evaluationContext, trainingContext } from "../../src/nn/context.ts";
import { createScope } from "../../src/nn/parameters.ts";
import { expectClose } from "../graph/compare.ts";
import { seededImages, seededParameter, seededTensor } from "../helpers/seeded.ts";

const BATCH = 2;

/** A model small enough for the interpreter: 8 × 8 images, 4 patches. */
function smallModel(distilled: boolean): VisionTransformer {
  const { config } = createDeit("deit_w64d4_patch4_32");
  return modelOf("small", {
    ...config,
    inputSize: [8, 8],
    embedDim: 12,
    numHeads: 3,
    depth: 3,
    numClasses: 5,
    distilled,
  });
}

interface Bound {
  readonly images: Value;
  readonly parameters: ReadonlyMap<string, Value>;
  readonly scope: ReturnType<typeof createScope>;
  readonly feeds: Record<string, Float32Array>;
}

function bind(model: VisionTransformer): Bound {
  const parameters = new Map(
    model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]),
  );
  const images = input("images", "float32", [BATCH, 3, ...model.config.inputSize]);
  const feeds: Record<string, Float32Array> = {
    images: seededTensor("images", BATCH * 3 * 64, seededImages),
  };
  for (const { name, shape } of model.parameters)
    feeds[name] = seededParameter(name, shape, model.config.embedDim);
  return { images, parameters, scope: createScope(({ name }) => parameters.get(name) ?? images), feeds };
}

describe.each([false, true])("distilled: %s", (distilled) => {
  const model = smallModel(distilled);
  const { images, parameters, scope, feeds } = bind(model);

  test("the optimized forward pass equals the one that is written down, gradients too", () => {
    const traced = Object.values(model.forward(images, scope, evaluationContext())) as Value[];
    const [short, full] = [optimizeForward(traced).outputs, traced].map((heads) => {
      const loss = heads.map((logits) => sum(mul(logits, logits))).reduce((a, b) => add(a, b));
      return evaluate([...heads, ...gradient(loss, [...parameters.values()])], feeds);
    });
    expect(short?.length).toBe((distilled ? 2 : 1) + parameters.size);
    for (const [i, expected] of (full ?? []).entries())
      expectClose(short?.[i], expected, { tolerance: 1e-11 });
  });

  test("training without stochastic depth gives evaluation's logits", () => {
    const rates = model.dropPathRates(0);
    const training = model.forward(
      images,
      scope,
      trainingContext({ batchSize: BATCH, dropPathRates: rates }),
    );
    const evaluation = model.forward(images, scope, evaluationContext());
    const [a, b] = [training, evaluation].map((heads) => evaluate(Object.values(heads) as Value[], feeds));
    expect(a).toEqual(b);
  });

  test("a mask of ones changes nothing, one of zeros leaves the embeddings", () => {
    const rates = model.dropPathRates(0.5);
    const heads = model.forward(images, scope, trainingContext({ batchSize: BATCH, dropPathRates: rates }));
    const withMask = (value: number): Float64Array | undefined =>
      evaluate([heads.class], {
        ...feeds,
        [DROP_PATH_INPUT]: new Float32Array(rates.length * BATCH).fill(value),
      })[0];
    const plain = evaluate([model.forward(images, scope, evaluationContext()).class], feeds)[0];
    expectClose(withMask(1), plain, { tolerance: 1e-12 });
    // Blocks 1 and 2 dropped, block 0 (rate 0) never: as a model of one block.
    const shallow = modelOf("shallow", { ...model.config, depth: 1 });
    expectClose(
      withMask(0),
      evaluate([shallow.forward(images, scope, evaluationContext()).class], feeds)[0],
      { tolerance: 1e-12 },
    );
  });

  test("records embeddings, blocks, attention and the heads' tokens", () => {
    const records = new Map<string, Value>();
    model.forward(images, scope, evaluationContext(records));
    const tokens = 4 + (distilled ? 2 : 1);
    expect(Object.fromEntries([...records].map(([name, { shape }]) => [name, shape]))).toEqual({
      embeddings: [tokens, BATCH, 12],
      ...Object.fromEntries(
        [0, 1, 2].flatMap((i) => [
          [`blocks.${i}.attn`, [BATCH, 3, tokens, tokens]],
          [`blocks.${i}`, [tokens, BATCH, 12]],
        ]),
      ),
      tokens: [distilled ? 2 : 1, BATCH, 12],
    });
  });

  test("samples of a batch do not see each other", () => {
    const { class: logits } = model.forward(images, scope, evaluationContext());
    const [both = new Float64Array()] = evaluate([logits], feeds);
    const pixels = feeds["images"] ?? new Float32Array();
    const swapped = Float32Array.of(...pixels.subarray(192), ...pixels.subarray(0, 192));
    const [exchanged = new Float64Array()] = evaluate([logits], { ...feeds, images: swapped });
    expectClose(exchanged, Float64Array.of(...both.subarray(5), ...both.subarray(0, 5)), {
      tolerance: 1e-13,
    });
  });

  test("position embeddings are in the order class, distillation, patches row by row", () => {
    const records = new Map<string, Value>();
    model.forward(images, scope, evaluationContext(records));
    const tokens = 4 + (distilled ? 2 : 1);
    const positions = Float32Array.from({ length: tokens * 12 }, (_, i) => 1000 * Math.floor(i / 12));
    const zero = Object.fromEntries(
      Object.keys(feeds).map((name) => [name, new Float32Array(feeds[name]?.length ?? 0)]),
    );
    // One pixel of the second patch of the first row, one weight that sees it.
    const [pixels, kernel] = [new Float32Array(BATCH * 192), new Float32Array(12 * 48)];
    pixels[4] = 7;
    kernel[0] = 1;
    const [embedded = new Float64Array()] = evaluate([records.get("embeddings") ?? images], {
      ...zero,
      images: pixels,
      pos_embed: positions,
      cls_token: new Float32Array(12).fill(1),
      ...(distilled && { dist_token: new Float32Array(12).fill(2) }),
      "patch_embed.proj.weight": kernel,
    });
    const firstFeature = Array.from({ length: tokens }, (_, token) => embedded[token * BATCH * 12]);
    expect(firstFeature).toEqual(distilled ? [1, 1002, 2000, 3007, 4000, 5000] : [1, 1000, 2007, 3000, 4000]);
  });
});

test("the joint classifier is the mean of both heads' logits", () => {
  const [a, b] = [input("a", "float32", [1, 2]), input("b", "float32", [1, 2])];
  const feeds = { a: [1, 2], b: [3, 8] };
  expect([...(evaluate([jointLogits({ class: a, distillation: b })], feeds)[0] ?? [])]).toEqual([2, 5]);
  expect(jointLogits({ class: a })).toBe(a);
});
