/** The ranges of the activations that linear layers multiply, from runs on real images: what quantize.ts fixes scales by. Node only. */
import { create } from "@bufbuild/protobuf";
import { InferenceSession } from "onnxruntime-node";
import type { Tensor } from "onnxruntime-node";
import { DeitError } from "../errors.ts";
import { ValueInfoProtoSchema } from "../graph/generated/onnx_pb.ts";
import { closeOnnx, openOnnx } from "./onnx-edit.ts";
import type { Range } from "./quantize.ts";
import { linearLayers } from "./quantize.ts";

/**
 * Runs a model with those activations as outputs; the smallest and largest values are the ranges, by name.
 * @throws DeitError without batches, and for activations that are not finite
 */
export async function calibrate(
  model: Uint8Array,
  batches: AsyncIterable<Readonly<Record<string, Tensor>>>,
): Promise<Record<string, Range>> {
  const edit = openOnnx(model);
  const names = [...new Set(linearLayers(edit).map(({ activation }) => activation))];
  const known = new Set([...edit.graph.input, ...edit.graph.output].map(({ name }) => name));
  edit.graph.output.push(
    ...names.filter((name) => !known.has(name)).map((name) => create(ValueInfoProtoSchema, { name })),
  );
  const session = await InferenceSession.create(closeOnnx(edit), { logSeverityLevel: 3 });
  const ranges: Record<string, Range> = {};
  try {
    for await (const feeds of batches) {
      const results = await session.run({ ...feeds });
      for (const name of names) {
        const { data } = results[name] ?? feeds[name] ?? {};
        if (!(data instanceof Float32Array))
          throw new DeitError(`${name} is not a float32 activation`, { code: "export/calibration" });
        ranges[name] = widened(ranges[name], data, name);
      }
    }
  } finally {
    await session.release();
  }
  if (Object.keys(ranges).length < names.length)
    throw new DeitError("there are no images to calibrate with", { code: "export/calibration" });
  return ranges;
}

function widened(range: Range | undefined, data: Float32Array, name: string): Range {
  let { min, max } = range ?? { min: Infinity, max: -Infinity };
  for (const value of data) {
    if (value < min) min = value;
    if (value > max) max = value;
    if (Number.isNaN(value)) min = Number.NaN;
  }
  if (Number.isFinite(min) && Number.isFinite(max)) return { min, max };
  throw new DeitError(`the activation ${name} is not finite on these images`, {
    code: "export/calibration",
  });
}
