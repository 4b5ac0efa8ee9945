/** Whether the tensors of a checkpoint are those of a model, by names and shapes. */
import { CheckpointError } from "../errors.ts";
import type { Layout, Tensors } from "./parameters.ts";

/** PyTorch's BatchNorm counts its batches; nothing depends on it. */
const IGNORED = ".num_batches_tracked";

/** Compares a checkpoint with a layout. @throws CheckpointError */
export function checkTensors(layout: Layout, tensors: Tensors): void {
  const missing = [...layout.segments.keys()].filter((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter(
    (name) => !layout.segments.has(name) && !name.endsWith(IGNORED),
  );
  const mismatched = [...tensors].flatMap(([name, { shape }]) => {
    const expected = layout.segments.get(name)?.shape;
    return expected !== undefined && expected.join() !== shape.join()
      ? [`${name}: got [${shape.join(", ")}], expected [${expected.join(", ")}]`]
      : [];
  });
  if (missing.length + unexpected.length + mismatched.length === 0) return;
  const lines = [
    missing.length > 0 ? `missing: ${shortList(missing)}` : "",
    unexpected.length > 0 ? `unexpected: ${shortList(unexpected)}` : "",
    mismatched.length > 0 ? `of another shape: ${shortList(mismatched)}` : "",
  ].filter((line) => line !== "");
  throw new CheckpointError(`the checkpoint does not fit the model\n  ${lines.join("\n  ")}`, {
    code: "checkpoint/wrong-tensors",
    missing,
    unexpected,
  });
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).join("; ");
  return names.length > 5 ? `${shown}; and ${names.length - 5} more` : shown;
}
