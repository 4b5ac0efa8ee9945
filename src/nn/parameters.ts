/**
 * Parameters by name. A layer asks its scope for the tensors it needs; tracing a model once with a collecting
 * scope gives the list of them, tracing it with a layout's scope (layout.ts) binds them to the state vectors.
 */
import { DeitError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { sameShape } from "../graph/shape.ts";
import type { Random } from "../random.ts";

/** How a parameter starts. `truncNormal` is cut at ±2 (absolute), so at 100 σ for DeiT's 0.02. */
export type Initializer =
  | { readonly kind: "zeros" | "ones" }
  | { readonly kind: "normal" | "truncNormal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number };

export interface ParameterSpec {
  /** timm's name: `blocks.0.attn.qkv.weight`. */
  readonly name: string;
  /** PyTorch's shape. */
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  /** Saved and loaded with the model, but not trained: BatchNorm's statistics. */
  readonly buffer?: true;
}

/** A place in the tree of names: `scope.at("blocks.0").at("attn")`. */
export interface Scope {
  at(name: string): Scope;
  /** The parameter of that name below this scope. */
  parameter(name: string, shape: readonly number[], initializer: Initializer): Value;
  /** The same for a tensor that is not trained. */
  buffer(name: string, shape: readonly number[], initializer: Initializer): Value;
}

/** A scope that hands every parameter, by its full name, to `resolve`. */
export function createScope(resolve: (spec: ParameterSpec) => Value, prefix = ""): Scope {
  return {
    at: (name) => createScope(resolve, `${prefix}${name}.`),
    parameter: (name, shape, initializer) => resolve({ name: `${prefix}${name}`, shape, initializer }),
    buffer: (name, shape, initializer) =>
      resolve({ name: `${prefix}${name}`, shape, initializer, buffer: true }),
  };
}

/** The parameters that `trace` asks for, in the order of first use. */
export function collectParameters(trace: (scope: Scope) => unknown): ParameterSpec[] {
  const specs = new Map<string, ParameterSpec>();
  trace(
    createScope((spec) => {
      const known = specs.get(spec.name);
      if (known !== undefined && !sameShape(known.shape, spec.shape)) {
        throw new DeitError(
          `parameter ${spec.name} is used as [${known.shape.join(", ")}] and as [${spec.shape.join(", ")}]`,
          { code: "model/parameter-shapes" },
        );
      }
      specs.set(spec.name, spec);
      return input(spec.name, "float32", spec.shape);
    }),
  );
  return [...specs.values()];
}

/** Fills `target` (row-major) with a parameter's starting values, drawn from its own stream of `random`. */
export function initialize(target: Float32Array, { name, initializer }: ParameterSpec, random: Random): void {
  const stream = random.split(name);
  switch (initializer.kind) {
    case "zeros":
      target.fill(0);
      return;
    case "ones":
      target.fill(1);
      return;
    case "normal":
      for (let i = 0; i < target.length; i++) target[i] = stream.normal(0, initializer.std);
      return;
    case "truncNormal":
      for (let i = 0; i < target.length; i++) {
        target[i] = stream.truncNormal({ std: initializer.std, low: -2, high: 2 });
      }
      return;
    case "uniform":
      for (let i = 0; i < target.length; i++)
        target[i] = stream.uniform(-initializer.bound, initializer.bound);
  }
}
