/** Reverse-mode differentiation: a graph in, a graph of its gradients out. */
import { DeitError, ShapeError } from "../errors.ts";
import type { Node, Value } from "./graph.ts";
import { atScope, operands, topologicalOrder } from "./graph.ts";
import { add, full } from "./ops/elementwise.ts";
import type { Segment } from "./recompute.ts";
import { backwardParts, GRADIENT_SCOPE } from "./recompute.ts";
import { sizeOf } from "./shape.ts";

export { GRADIENT_SCOPE } from "./recompute.ts";

export interface GradientOptions {
  /** Parts of the graph whose inner values are not kept for the gradient but computed again (recompute.ts). */
  readonly segments?: readonly Segment[];
}

/**
 * Gradients of a scalar loss by each of `wrt`, in their shapes; zeros where the loss does not depend on one.
 * @throws ShapeError when the loss is not a scalar, DeitError when an operation on the way has no gradient.
 */
export function gradient(
  loss: Value,
  wrt: readonly Value[],
  { segments = [] }: GradientOptions = {},
): Value[] {
  if (sizeOf(loss.shape) !== 1) throw new ShapeError("gradient", [loss.shape], "a scalar loss");
  const order = topologicalOrder([loss]);
  const wanted = new Set(wrt.map((value) => value.node));
  // Only nodes between `wrt` and the loss take part.
  const active = new Set(wanted);
  for (const node of order) {
    if (node.inputs.some((input) => active.has(input.node))) active.add(node);
  }
  const grads = new Map<Value, Value>([[loss, full(loss.shape, 1)]]);
  const parts = backwardParts(segments, grads);
  for (const node of order.toReversed()) {
    const part = parts.get(node);
    const { inputs, outputs } = part?.enter(node) ?? node;
    differentiate(node, { inputs, outputs, grads, active });
    part?.leave(node);
  }
  return wrt.map((value) => grads.get(value) ?? full(value.shape, 0));
}

/** Adds what a node contributes to the gradients by its inputs. `inputs` and `outputs`: its own, or copies of them. */
function differentiate(
  node: Node,
  {
    inputs,
    outputs,
    grads,
    active,
  }: Pick<Node, "inputs" | "outputs"> & {
    readonly grads: Map<Value, Value>;
    readonly active: ReadonlySet<Node>;
  },
): void {
  const byOutputs = node.outputs.map((value) => grads.get(value));
  if (!active.has(node) || node.inputs.length === 0 || byOutputs.every((grad) => grad === undefined)) return;
  const { gradient: rule } = node.op;
  if (rule === undefined) {
    if (
      node.inputs.some((input) => active.has(input.node) && input.dtype.startsWith("float")) &&
      differentiable(node.outputs)
    ) {
      throw new DeitError(
        `gradient: the operation ${node.op.name} has no gradient, and the loss depends on it`,
        { code: "graph/no-gradient" },
      );
    }
    return;
  }
  const { name, differentiableOutputs = node.outputs.length } = node.op;
  if (byOutputs.slice(differentiableOutputs).some((grad) => grad !== undefined)) {
    throw new DeitError(
      `gradient: the loss depends on an output of ${name} that has no gradient (it is for inspection only)`,
      { code: "graph/no-gradient" },
    );
  }
  const scope = `${GRADIENT_SCOPE}/${node.scope}`;
  const byInputs = atScope(scope, () =>
    rule({
      inputs: operands(inputs),
      outputs: operands(outputs),
      grad: byOutputs[0] ?? full(operands(node.outputs)[0].shape, 0),
      grads: byOutputs,
      attributes: node.attributes,
    }),
  );
  for (const [i, input] of node.inputs.entries()) {
    const grad = byInputs[i];
    if (grad === undefined || !active.has(input.node)) continue;
    const before = grads.get(input);
    grads.set(input, before === undefined ? grad : atScope(scope, () => add(before, grad)));
  }
}

function differentiable(values: readonly Value[]): boolean {
  return values.some((value) => value.dtype.startsWith("float"));
}
