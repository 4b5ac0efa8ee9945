/** A loaded model on a device, ready for pictures. */
import { packTensors } from "../nn/layout.ts";
import { modelLayout } from "../optim/groups.ts";
import type { Executable, Runtime } from "../runtime/runtime.ts";
import type { LoadedModel } from "./load-model.ts";
import { evaluationProgram } from "./program.ts";

/** Puts the weights where programs compute and loads the `evaluationProgram`. */
export async function loadEvaluator(
  runtime: Runtime,
  { model, tensors, normalisation }: LoadedModel,
  { batchSize }: { batchSize: number },
): Promise<Executable> {
  const layout = modelLayout(model);
  for (const [name, data] of Object.entries(packTensors(layout, tensors)))
    await runtime.setState(`W.${name}`, data);
  return runtime.load(evaluationProgram({ model, layout, batchSize, target: runtime.target, normalisation }));
}
