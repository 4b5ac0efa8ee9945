/** Values that come out of a pickle, and the closed list of names that one may look up. */

/** A tensor as the pickle describes it: its numbers lie elsewhere. Offsets and strides are in elements. */
export class PickledTensor {
  readonly storage: PickledStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(
    storage: PickledStorage,
    { offset, shape, strides }: { offset: number; shape: readonly number[]; strides: readonly number[] },
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** Where a tensor's numbers lie: type of PyTorch ("FloatStorage"), key of its record, number of elements. */
export class PickledStorage {
  readonly type: string;
  readonly key: string;
  readonly length: number;
  constructor(type: string, key: string, length: number) {
    this.type = type;
    this.key = key;
    this.length = length;
  }
}

/** An object that is let pass, without its content. */
export class InertObject {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Any value that comes out of a pickle. Dicts are maps. */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Pickled[]
  | Map<Pickled, Pickled>
  | PickledTensor
  | PickledStorage
  | InertObject
  | Global;

/** A name that the pickle looks up: `torch._utils._rebuild_tensor_v2`. */
export class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Dicts are filled item by item; what one is made of at once is copied, so a small file must not repeat a long list. */
const MOST_AT_ONCE = 64;

/** What a name that may be called makes of its arguments. */
type Maker = (args: readonly Pickled[], fail: (message: string) => never) => Pickled;

const rebuildTensor: Maker = ([storage, offset, shape, strides], fail) => {
  if (!(storage instanceof PickledStorage)) return fail("a tensor without storage");
  const whole = (value: Pickled | undefined): number =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= 0
      ? value
      : fail("a tensor's layout");
  const list = (value: Pickled | undefined): number[] =>
    Array.isArray(value) && value.length <= 16 ? value.map(whole) : fail("a tensor's layout");
  const [sizes, steps] = [list(shape), list(strides)];
  if (sizes.length !== steps.length) return fail("a tensor's layout");
  return new PickledTensor(storage, { offset: whole(offset), shape: sizes, strides: steps });
};
const inert =
  (name: string): Maker =>
  () =>
    new InertObject(name);

/** The only names that may be looked up. */
const MAKERS: Readonly<Record<string, Maker>> = {
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": ([tensor = null]) => tensor,
  "torch._utils._rebuild_parameter_with_state": ([tensor = null]) => tensor,
  "torch._tensor._rebuild_from_type_v2": ([, , args], fail) =>
    Array.isArray(args) ? rebuildTensor(args, fail) : fail("a tensor's layout"),
  "collections.OrderedDict": ([pairs]) => new Map(pairsOf(pairs)),
  "builtins.dict": ([pairs]) => new Map(pairsOf(pairs)),
  "__builtin__.dict": ([pairs]) => new Map(pairsOf(pairs)),
  "__builtin__.list": ([items]) => (Array.isArray(items) ? items : []),
  "builtins.list": ([items]) => (Array.isArray(items) ? items : []),
  "builtins.set": ([items]) => (Array.isArray(items) ? items : []),
  "__builtin__.set": ([items]) => (Array.isArray(items) ? items : []),
  "builtins.bytearray": ([bytes]) => (bytes instanceof Uint8Array ? bytes : new Uint8Array()),
  "torch.Size": ([items]) => (Array.isArray(items) ? items : []),
  "torch.device": inert("torch.device"),
  "argparse.Namespace": inert("argparse.Namespace"),
  "pathlib.PosixPath": inert("pathlib.PosixPath"),
  "pathlib._local.PosixPath": inert("pathlib.PosixPath"),
  "collections.defaultdict": () => new Map(),
  "collections.Counter": () => new Map(),
  "numpy.dtype": inert("numpy.dtype"),
  "numpy.core.multiarray.scalar": inert("numpy scalar"),
  "numpy._core.multiarray.scalar": inert("numpy scalar"),
  "numpy.core.multiarray._reconstruct": inert("numpy array"),
  "numpy._core.multiarray._reconstruct": inert("numpy array"),
  "numpy.ndarray": inert("numpy array"),
  "_codecs.encode": inert("bytes"),
};
/** Types, looked up but never called. */
const TYPES =
  /^(?:builtins|__builtin__)\.(?:int|float|str|bool|bytes|tuple|frozenset|object|long|unicode)$|^torch\.(?:\w+Storage|(?:float|int|uint|bool|bfloat|complex)\w*|storage\.\w+|nn\.parameter\.Parameter|Tensor)$/;

/** Settings that training keeps beside weights, by the libraries they are of: let pass empty, like all that is inert. */
const SETTINGS =
  /^(?:omegaconf|lightning|lightning_fabric|pytorch_lightning|lightning_utilities|yacs|addict|easydict|ml_collections|mmengine|mmcv|typing|datetime)\.[\w.]+$/;

function pairsOf(pairs: Pickled | undefined): [Pickled, Pickled][] {
  return Array.isArray(pairs)
    ? pairs
        .slice(0, MOST_AT_ONCE)
        .flatMap((pair): [Pickled, Pickled][] =>
          Array.isArray(pair) && pair.length === 2 ? [[pair[0] ?? null, pair[1] ?? null]] : [],
        )
    : [];
}

/** Whether a pickle may look a name up. */
export function isKnownName(name: string): boolean {
  return Object.hasOwn(MAKERS, name) || TYPES.test(name) || SETTINGS.test(name);
}

/** What a known name makes of its arguments; undefined for a type, which is never called. */
export function makerOf(name: string): Maker | undefined {
  if (SETTINGS.test(name)) return inert(name);
  return Object.hasOwn(MAKERS, name) ? MAKERS[name] : undefined;
}
