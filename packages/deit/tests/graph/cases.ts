/**
 * Cases for every operation: inputs, what is built from them, and, where there is one, the same value by other
 * operations. ops.test.ts runs each through the oracle, finite differences and every device.
 */
import { composites } from "./cases/composite-cases.ts";
import { convolutions } from "./cases/convolution-cases.ts";
import { elementwise } from "./cases/elementwise-cases.ts";
import type { OpCase } from "./cases/op-case.ts";
import { shapes } from "./cases/shape-cases.ts";

export const cases: readonly OpCase[] = [...elementwise, ...shapes, ...composites, ...convolutions];
