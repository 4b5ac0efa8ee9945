/** Recomputation: the same gradients, with nothing kept of a segment but its input. */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Node, Value } from "../../src/graph/graph.ts";
import { input, topologicalOrder } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { lower } from "../../src/graph/passes/lower.ts";
import { simplify } from "../../src/graph/passes/simplify.ts";
import type { Segment } from "../../src/graph/recompute.ts";
import { createRandom } from "../../src/random.ts";
import { randomGraph } from "./random-graph.ts";

const LAYERS = 4;
const weights = Array.from({ length: LAYERS }, (_, i) => input(`w${i}`, "float32", [6, 6]));
const first = input("x", "float32", [4, 6]);
const random = createRandom(3);
const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform(-1, 1));
const feeds = { x: numbers(24), ...Object.fromEntries(weights.map((_, i) => [`w${i}`, numbers(36)])) };

/** tanh(x + softmax(x·w)·w): some inner values that its gradient needs. */
function layer(x: Value, w: Value): Value {
  return ops.tanh(ops.add(x, ops.matmul(ops.softmax(ops.matmul(x, w)), w)));
}

function network(): { loss: Value; segments: Segment[] } {
  const segments: Segment[] = [];
  let x = first;
  for (const [i, w] of weights.entries()) {
    const y = layer(x, w);
    segments.push({ input: x, output: y, recompute: i < LAYERS - 1 });
    x = y;
  }
  return { loss: ops.sum(ops.mul(x, x)), segments };
}

/** What a node needs to have been computed before it. */
function needs(value: Value): Set<Node> {
  return new Set(topologicalOrder([value]));
}

describe("recomputation", () => {
  const { loss, segments } = network();
  const wrt = [first, ...weights];
  const kept = gradient(loss, wrt);
  const recomputed = gradient(loss, wrt, { segments });

  test("gives the same gradients, bit for bit", () => {
    const simplified = simplify(lower(simplify(lower(recomputed, "cpu")), "cpu"));
    expect(evaluate(recomputed, feeds)).toEqual(evaluate(kept, feeds));
    expect(evaluate(simplified, feeds)).toEqual(evaluate(kept, feeds));
  });

  test("reads nothing of the first pass but the segments' inputs", () => {
    const [byInput] = recomputed;
    const forward = needs(loss);
    const ends = new Set(segments.flatMap(({ input: x, output }) => [x.node, output.node]));
    const lastSegment = needs(loss).difference(needs(segments.at(-1)?.input ?? loss));
    const backward = needs(byInput ?? loss).difference(forward);
    const read = [...backward].flatMap(({ inputs }) => inputs.map(({ node }) => node));
    const inner = read.filter((node) => forward.has(node) && !ends.has(node) && !lastSegment.has(node));
    expect(new Set(inner.map(({ op }) => op.name)).difference(new Set(["input"]))).toEqual(new Set());
  });

  test("does not begin before the gradient has come back to the segment, and ends before the gradient goes on", () => {
    const copies = topologicalOrder(recomputed).filter(({ recomputes }) => recomputes !== undefined);
    const segmentOf = (node: Node): number =>
      segments.findIndex(({ input: x, output }) =>
        needs(output)
          .difference(needs(x))
          .has(node.recomputes ?? node),
      );
    expect(new Set(copies.map(segmentOf))).toEqual(new Set([0, 1, 2]));
    for (const copy of copies) {
      const before = topologicalOrder(copy.inputs).flatMap(({ recomputes }) =>
        recomputes ? [recomputes] : [],
      );
      const later = segmentOf(copy) + 1;
      if (later === LAYERS - 1) continue;
      // All of the next segment's copies that its weight's gradient needs have been computed, and are done with.
      const byWeight = recomputed[1 + later];
      const wanted = topologicalOrder(byWeight ? [byWeight] : []).flatMap(({ recomputes }) =>
        recomputes !== undefined && segmentOf(recomputes) === later ? [recomputes] : [],
      );
      expect(wanted.length).toBeGreaterThan(2);
      expect(new Set(wanted).difference(new Set(before)).size).toBe(0);
    }
  });

  test("of random graphs, cut anywhere", () => {
    for (let seed = 0; seed < 40; seed++) {
      const graph = randomGraph(createRandom(seed), 20);
      const [a, b] = [input("a", "float32", [4, 6]), input("b", "float32", [4, 6])];
      const total = ops.sum(ops.add(ops.tanh(graph.outputs[0] ?? a), ops.mul(a, b)));
      const inputs = topologicalOrder([total]).filter(({ op }) => op.name === "input");
      const values = inputs.map(({ outputs }) => outputs[0] ?? a);
      const order = topologicalOrder([graph.outputs[0] ?? a]);
      const middle = order.toReversed().find(({ op, outputs }) => op.name === "tanh" && outputs.length === 1);
      const start = values[0];
      const output = middle?.outputs[0] ?? graph.outputs[0] ?? a;
      if (start === undefined) continue;
      const again = gradient(total, values, { segments: [{ input: start, output, recompute: true }] });
      expect(evaluate(again, graph.feeds), `seed ${seed}`).toEqual(
        evaluate(gradient(total, values), graph.feeds),
      );
    }
  });
});
