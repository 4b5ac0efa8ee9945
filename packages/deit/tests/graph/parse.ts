/** A program's bytes read back, for tests that look at what was written. */
import { fromBinary } from "@bufbuild/protobuf";
import type { GraphProto, NodeProto } from "../../src/graph/generated/onnx_pb.ts";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { Program } from "../../src/graph/program.ts";

/** The ONNX graph of a program. */
export function graphOf({ model }: Pick<Program, "model">): GraphProto {
  const { graph } = fromBinary(ModelProtoSchema, model);
  if (graph === undefined) throw new Error("a model without a graph");
  return graph;
}

/** ONNX operators of a program, in order, without the copies that give leaves their public names. */
export function operatorsOf(program: Pick<Program, "model">): string[] {
  return graphOf(program)
    .node.map(({ opType }) => opType)
    .filter((type) => type !== "Identity");
}

/** Nodes that compute what an earlier node computed. */
export function repeatedNodes({ node: nodes }: GraphProto): string[] {
  const seen = new Map<string, string>();
  return nodes.flatMap((node) => {
    const key = keyOf(node);
    const first = seen.get(key);
    seen.set(key, first ?? node.name);
    return first === undefined || node.opType === "Identity" ? [] : [`${node.name} repeats ${first}`];
  });
}

function keyOf({ opType, domain, input, attribute }: NodeProto): string {
  const attributes = attribute.map(({ name, i, f, s, ints }) => [
    name,
    String(i),
    f,
    [...s],
    ints.map(String),
  ]);
  return JSON.stringify([opType, domain, input, attributes]);
}

/** What is wrong with a graph's names: used before they are made, made twice, or made and never used. */
export function danglingNames({ node: nodes, input, output, initializer }: GraphProto): string[] {
  const made = new Set<string>();
  const problems: string[] = [];
  const make = (name: string): void => {
    if (made.has(name)) problems.push(`${name} is made twice`);
    made.add(name);
  };
  for (const { name } of [...input, ...initializer]) make(name);
  const used = new Set(output.map(({ name }) => name));
  for (const node of nodes) {
    for (const name of node.input) {
      if (name !== "" && !made.has(name)) problems.push(`${node.name} reads ${name} before it is made`);
      used.add(name);
    }
    for (const name of node.output) if (name !== "") make(name);
  }
  for (const { name } of [...input, ...initializer])
    if (!used.has(name)) problems.push(`${name} is never used`);
  // Parts of a Split that nothing reads are written all the same: one that is read is enough.
  for (const node of nodes)
    if (node.output.every((name) => !used.has(name))) problems.push(`${node.name} is never used`);
  return problems;
}
