/**
 * What is done to a traced forward pass before it is differentiated or compiled, so that models can be written as papers
 * write them. Every pass keeps the values of the outputs; what is recorded of a model has to be among these, and is then
 * computed in full.
 */
import type { Value } from "../graph.ts";
import { attentionBiases } from "./attention-biases.ts";
import { foldAffine } from "./fold-affine.ts";
import { fuseMlp } from "./fuse-mlp.ts";
import type { PruneOptions } from "./prune-rows.ts";
import { pruneRows } from "./prune-rows.ts";
import type { Rewritten } from "./rewrite.ts";
import { inOrder } from "./rewrite.ts";
import { splitLinear } from "./split-linear.ts";

/** The same outputs, computed faster; `find` gives what other values of the graph have become. */
export function optimizeForward(outputs: readonly Value[], options: PruneOptions = {}): Rewritten {
  return inOrder([foldAffine, splitLinear, attentionBiases, foldAffine, fuseMlp, pruneRows(options)])(
    outputs,
  );
}

/** The same for outputs by name. */
export function optimizeOutputs(
  outputs: Readonly<Record<string, Value>>,
  options: PruneOptions = {},
): Record<string, Value> {
  const { find } = optimizeForward(Object.values(outputs), options);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, find(value)]));
}
