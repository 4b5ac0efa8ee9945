/**
 * Several runs of a program as one: an ONNX `Loop` whose body is the program, with the state carried from one step to the
 * next. Where state crosses a bus at every run (CUDA in Node), it then crosses once for all of them. Each step runs the
 * very nodes of the program, so that the results are those of as many runs, bit for bit.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeitError } from "../errors.ts";
import type { GraphProto, NodeProto, ValueInfoProto } from "./generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from "./generated/onnx_pb.ts";
import type { TensorType } from "./graph.ts";
import { valueInfo } from "./onnx-model.ts";
import type { Program } from "./program.ts";

/** In front of every name inside the loop: ONNX wants the names of a graph and of its bodies to differ. */
const INNER = "turn/";
/** AttributeProto.AttributeType.GRAPH */
const GRAPH = 5;

/**
 * The program `count` times in one run. Inputs and outputs that are not state get one more dimension in front, [count, …]:
 * the batches of the steps, and what each step returned. State keeps its shape.
 */
export function unrollSteps(program: Program, count: number): Program {
  if (!Number.isInteger(count) || count < 1)
    throw new DeitError(
      `${program.name} cannot be repeated ${count} times; expected a whole number from 1 on`,
      { code: "graph/unroll" },
    );
  const model = fromBinary(ModelProtoSchema, program.model);
  const { graph } = model;
  if (graph === undefined) throw new DeitError(`${program.name} has no graph`, { code: "graph/unroll" });
  const updates = Object.entries(program.state).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const fed = Object.keys(program.inputs).filter((name) => !Object.hasOwn(program.state, name));
  const returned = Object.keys(program.outputs).filter((name) => !updates.some(([, next]) => next === name));
  const inputs = stackTypes(program.inputs, { names: fed, count });
  const outputs = stackTypes(program.outputs, { names: returned, count });

  const loop = create(NodeProtoSchema, {
    opType: "Loop",
    name: `${count}_turns`,
    input: ["turns", "go_on", ...updates.map(([name]) => name)],
    output: [...updates.map(([, next]) => next), ...returned],
    attribute: [
      create(AttributeProtoSchema, {
        name: "body",
        type: GRAPH,
        g: bodyOf(graph, { program, updates, fed, returned }),
      }),
    ],
  });
  model.graph = create(GraphProtoSchema, {
    name: graph.name,
    node: [loop],
    initializer: [
      create(TensorProtoSchema, {
        name: "turns",
        dataType: 7,
        rawData: bytesOf(BigInt64Array.of(BigInt(count))),
      }),
      create(TensorProtoSchema, { name: "go_on", dataType: 9, rawData: Uint8Array.of(1) }),
    ],
    input: Object.entries(inputs).map(([name, type]) => valueInfo(name, type)),
    output: loop.output.flatMap((name) =>
      outputs[name] === undefined ? [] : [valueInfo(name, outputs[name])],
    ),
  });
  return {
    ...program,
    name: `${program.name}.${count}`,
    model: toBinary(ModelProtoSchema, model),
    inputs,
    outputs,
  };
}

function stackTypes(
  types: Readonly<Record<string, TensorType>>,
  { names, count }: { names: readonly string[]; count: number },
): Record<string, TensorType> {
  return Object.fromEntries(
    Object.entries(types).map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape: names.includes(name) ? [count, ...shape] : shape },
    ]),
  );
}

interface Roles {
  readonly program: Program;
  /** State that a run replaces: input and output. */
  readonly updates: readonly (readonly [string, string])[];
  readonly fed: readonly string[];
  readonly returned: readonly string[];
}

/**
 * One step: inputs are its number, whether it should run, and the state; outputs whether to go on, the next state, and what
 * is collected. Its own part of the stacked inputs is taken by the number; state that is only read comes from outside.
 */
function bodyOf(graph: GraphProto, { program, updates, fed, returned }: Roles): GraphProto {
  const readOnly = new Set(Object.keys(program.state).filter((name) => program.state[name] === null));
  const inner = (name: string): string => (name === "" || readOnly.has(name) ? name : `${INNER}${name}`);
  const info = (name: string, types: Readonly<Record<string, TensorType>>): ValueInfoProto[] => {
    const type = types[name];
    return type === undefined ? [] : [valueInfo(inner(name), type)];
  };
  const [step, goOn] = [`${INNER}number`, `${INNER}go_on`];
  const takeBatch = fed.map((name) =>
    create(NodeProtoSchema, {
      opType: "Gather",
      name: `${INNER}take_${name}`,
      input: [name, step],
      output: [inner(name)],
    }),
  );
  const nodes = graph.node.map((node): NodeProto => {
    if (node.attribute.some(({ g }) => g !== undefined))
      throw new DeitError(`${program.name} has a loop or a branch inside and cannot be repeated`, {
        code: "graph/unroll",
      });
    return create(NodeProtoSchema, { ...node, input: node.input.map(inner), output: node.output.map(inner) });
  });
  const next = create(NodeProtoSchema, {
    opType: "Identity",
    name: `${INNER}keep_going`,
    input: [goOn],
    output: [`${goOn}.next`],
  });
  return create(GraphProtoSchema, {
    name: `${graph.name}.turn`,
    node: [next, ...takeBatch, ...nodes],
    initializer: graph.initializer.map((tensor) =>
      create(TensorProtoSchema, { ...tensor, name: inner(tensor.name) }),
    ),
    input: [
      valueInfo(step, { dtype: "int64", shape: [] }),
      valueInfo(goOn, { dtype: "bool", shape: [] }),
      ...updates.flatMap(([name]) => info(name, program.inputs)),
    ],
    output: [
      valueInfo(`${goOn}.next`, { dtype: "bool", shape: [] }),
      ...updates.flatMap(([, output]) => info(output, program.outputs)),
      ...returned.flatMap((name) => info(name, program.outputs)),
    ],
  });
}

function bytesOf(data: BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
