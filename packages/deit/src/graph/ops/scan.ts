/**
 * A part of a graph that is computed block by block (ONNX `Scan`): what lies between its operations is as small as a
 * block, and still in the cache when the next one reads it. Made by passes/by-blocks.ts as the last thing before a program
 * is written; the interpreter never meets it.
 */
import type { OpDefinition, Value } from "../graph.ts";
import { createNode } from "../graph.ts";

/** What is computed of a block. */
export interface BlockBody {
  /** Input nodes that stand for a block of each of the first inputs. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

interface ScanAttributes extends Readonly<Record<string, unknown>> {
  readonly count: number;
  readonly body: BlockBody;
}

/** Inputs: [count, …block] for each input of the body; then what the body reads from outside, whole. Outputs: [count, …block]. */
const scanOp: OpDefinition<ScanAttributes> = {
  name: "scan",
  infer: (_, { count, body }) =>
    body.outputs.map(({ dtype, shape }) => ({ dtype, shape: [count, ...shape] })),
  onnx: (inputs, { body }, writer) => ({
    type: "Scan",
    inputs: inputs.slice(0, body.inputs.length).map((value) => writer.name(value)),
    attributes: { num_scan_inputs: body.inputs.length, body: writer.body(body) },
  }),
};

/** The body for each of `count` blocks. `blocks`: [count, …]; `outside`: everything else that the body reads. */
export function scan(
  blocks: readonly Value[],
  { count, body, outside }: { count: number; body: BlockBody; outside: readonly Value[] },
): readonly Value[] {
  return createNode(scanOp, [...blocks, ...outside], { count, body }).outputs;
}
