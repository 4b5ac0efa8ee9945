/** A model with its weights inside: the program that evaluates is the file that ships. */
import type { Target } from "../graph/graph.ts";
import { constant, input } from "../graph/graph.ts";
import type { Program } from "../graph/program.ts";
import { optimizeOutputs } from "../graph/passes/forward.ts";
import { compile } from "../graph/program.ts";
import { CheckpointError } from "../errors.ts";
import { evaluationContext } from "../nn/context.ts";
import type { Scope, Tensors } from "../nn/parameters.ts";
import { createScope } from "../nn/parameters.ts";
import { jointLogits } from "./heads.ts";
import type { Model } from "./registry.ts";

/** Input `pixel_values` [B, 3, H, W], normalised; output `logits` [B, K], of the joint classifier. */
export function deployedProgram(
  model: Model,
  tensors: Tensors,
  { batchSize, target }: { batchSize: number; target: Target },
): Program {
  const images = input("pixel_values", "float32", [batchSize, 3, ...model.config.inputSize]);
  const logits = jointLogits(model.forward(images, frozenScope(tensors), evaluationContext()));
  return compile({ name: model.name, target, outputs: optimizeOutputs({ logits }) });
}

/** A scope whose parameters are constants. @throws CheckpointError for one that is not there */
export function frozenScope(tensors: Tensors): Scope {
  return createScope(({ name, shape }) => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new CheckpointError(`the weights lack ${name}`, {
        code: "checkpoint/wrong-tensors",
        missing: [name],
      });
    return constant(tensor.data, shape);
  });
}
