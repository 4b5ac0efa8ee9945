/** Every operation, by family. */
export { after } from "./ops/execution-order.ts";
export { expand, reshape, sum, sumTo } from "./ops/broadcast.ts";
export {
  abs,
  add,
  cast,
  clip,
  div,
  erf,
  exp,
  full,
  gelu,
  log,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  sigmoid,
  sqrt,
  step,
  sub,
  tanh,
} from "./ops/elementwise.ts";
export { equal, greater, greaterOrEqual, less, lessOrEqual, select } from "./ops/compare.ts";
export { concat, pad, slice, split, transpose } from "./ops/layout.ts";
export { columnSum, gemm, linear, linearParts, matmul } from "./ops/matmul.ts";
export { gather, oneHot } from "./ops/gather.ts";
export { argmax, max, mean, sumOfSquares, total } from "./ops/reduce.ts";
export { logSoftmax, softmax } from "./ops/softmax.ts";
export { layerNorm, normalize } from "./ops/layer-norm.ts";
export { attention } from "./ops/attention.ts";
export { geluMlp } from "./ops/gelu-mlp.ts";
export { conv2d } from "./ops/convolution.ts";
export { averagePool2d, maxPool2d } from "./ops/pooling.ts";
export { batchNormInference, batchNormTraining } from "./ops/batch-norm.ts";
