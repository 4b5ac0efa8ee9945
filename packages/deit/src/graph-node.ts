/** `deit-ts/graph` in Node: with what runs programs. */
export * from "./graph.ts";
export { createRuntime } from "./runtime/node.ts";
