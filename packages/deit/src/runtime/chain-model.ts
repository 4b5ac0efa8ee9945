/** The model with which a runtime tries our own operation: a chain, and the same by ONNX Runtime's operations. */
import type { Bytes } from "./identity-model.ts";
import { bytes, shaped, text, varint } from "./identity-model.ts";

const LENGTH = 100; // no multiple of what a processor takes at once
const [INT, INTS] = [2, 7];

const node = (type: string, inputs: readonly string[], output: string): Bytes =>
  bytes(1, [...inputs.flatMap((input) => text(1, input)), ...text(2, output), ...text(4, type)]);
// AttributeProto{name, i or ints, type}; the field of the type, 20, takes two bytes.
const attribute = (name: string, value: number | readonly number[]): Bytes =>
  bytes(5, [
    ...text(1, name),
    ...(typeof value === "number" ? varint(3, value) : value.flatMap((each) => varint(8, each))),
    0xa0,
    0x01,
    typeof value === "number" ? INT : INTS,
  ]);

/**
 * x [length] → y = −(erf(x) / √eˣ · x + eˣ − x) by eight operations, and z, the same as one chain. Numbers of operations as in
 * graph/ops/chain.ts.
 */
export const chainModel = {
  length: LENGTH,
  bytes: Uint8Array.from([
    ...varint(1, 8),
    ...bytes(8, varint(2, 17)),
    ...bytes(8, [...text(1, "deit"), ...varint(2, 1)]),
    ...bytes(7, [
      ...node("Exp", ["x"], "exp"),
      ...node("Sqrt", ["exp"], "root"),
      ...node("Erf", ["x"], "erf"),
      ...node("Div", ["erf", "root"], "quotient"),
      ...node("Mul", ["quotient", "x"], "product"),
      ...node("Add", ["product", "exp"], "sum"),
      ...node("Sub", ["sum", "x"], "difference"),
      ...node("Neg", ["difference"], "y"),
      ...bytes(1, [
        ...text(1, "x"),
        ...text(2, "z"),
        ...text(4, "Chain"),
        ...attribute("rows", LENGTH),
        ...attribute("columns", 1),
        ...attribute("roles", [0]),
        ...attribute("code", [5, 0, 0, 6, 1, 0, 7, 0, 0, 3, 3, 2, 2, 4, 0, 0, 5, 1, 1, 6, 0, 4, 7, 0]),
        ...attribute("outs", [8]),
        ...attribute("ranks", [1]),
        ...attribute("dims", [LENGTH]),
        ...text(7, "deit"),
      ]),
      ...text(2, "chain"),
      ...bytes(11, shaped("x", [LENGTH])),
      ...bytes(12, shaped("y", [LENGTH])),
      ...bytes(12, shaped("z", [LENGTH])),
    ]),
  ]),
} as const;
