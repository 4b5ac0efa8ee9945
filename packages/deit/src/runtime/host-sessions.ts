/**
 * Sessions whose outputs are written into memory of ours.
 *
 * onnxruntime-node 1.30 writes into preallocated outputs and then copies every output once more into a fresh
 * array; for AdamW's three vectors of DeiT-Ti that was half of the optimizer's time (24 against 12 ms). It copies
 * them in order and stops with an error at the first that is not a tensor, after everything was computed: so programs
 * that update state get such an output in front (`withLeadingSequence`). `writesOutputs` tries that at the start;
 * where it does not hold, outputs are taken as ONNX Runtime returns them. Programs with our own operations run in sessions
 * of ours (native.ts), which need no such thing.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { DeitError } from "../errors.ts";
import type { Program, TensorType } from "../graph/program.ts";
import type { ContentionMeter } from "./contention.ts";
import { identityModel, leadingSequence, withLeadingSequence } from "./identity-model.ts";
import type { SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import {
  configEntries,
  hostData,
  hostTensor,
  isFallback,
  profilePrefix,
  sessionError,
  sessionOptions,
  tensorNumber,
  unsupported,
} from "./sessions.ts";
import type { NativeSession, NativeTensor, OnnxRuntime, Surroundings } from "./sessions.ts";

/** What onnxruntime-node says when it meets the leading output. */
const STOPPED = "Non tensor type is temporarily not supported.";

/** Programs larger than this, with the weights of a teacher inside, keep the threads that they were loaded with. */
const KEPT_BYTES = 2 ** 25;

/** Memory for an output. */
type Place = (name: string, type: TensorType) => TensorData;

/** One way to run a program. */
interface Session {
  /** All outputs, by name; in the memory that `place` gives, where the session can. */
  run(inputs: Readonly<Record<string, TensorData>>, place: Place): Promise<ReadonlyMap<string, TensorData>>;
  release(): Promise<void>;
}

/** What all sessions of an engine share. */
interface Context {
  readonly surroundings: Surroundings;
  readonly settings: SessionSettings;
  /** Whether onnxruntime-node writes outputs where it is told. */
  readonly inPlace: boolean;
  readonly contention: ContentionMeter | undefined;
}

/** Loads a program; it is loaded again where other programs begin or cease to need its cores. Its numbers stay the same. */
export async function loadSession(context: Context, program: Program): Promise<Session> {
  const { settings, contention } = context;
  const create = program.hasChains === true ? nativeSession(context, program) : nodeSession(context, program);
  const canAdapt = contention !== undefined && program.model.byteLength <= KEPT_BYTES;
  let spinning = !(contention?.isContended() ?? false);
  let session: Session;
  try {
    session = await create(spinning);
  } catch (error) {
    throw error instanceof DeitError ? error : sessionError(settings.device, program, "load", error);
  }
  return {
    async run(inputs, place) {
      if (canAdapt && contention.isContended() === spinning) {
        spinning = !spinning;
        await session.release(); // first, so that two are never in memory
        session = await create(spinning);
      }
      return session.run(inputs, place);
    },
    release: async () => session.release(),
  };
}

/** Sessions with our own operations. */
function nativeSession(
  { surroundings: { native }, settings }: Context,
  program: Program,
): (spinning: boolean) => Promise<Session> {
  const { name, inputs, outputs } = program;
  if (native === undefined) {
    throw new DeitError(`program "${name}" has operations of our own, which this runtime does not know`, {
      code: "program/target",
      hint: "Compile it for the runtime's target.",
    });
  }
  const model = program.model.slice(); // the request's bytes are let go after loading; a copy serves to load again
  const training = Object.values(program.state).some((output) => output !== null);
  const listed = (tensors: Readonly<Record<string, TensorType>>): NativeTensor[] =>
    Object.entries(tensors).map(([key, { dtype, shape }]) => ({
      name: key,
      type: tensorNumber[dtype],
      dims: shape,
    }));
  return async (spinning) => {
    const session: NativeSession = native.create(model, {
      threads: settings.threads,
      config: configEntries(sessionOptions(settings, { name, training, spinning })),
      profile: settings.profile === undefined ? undefined : profilePrefix(settings.profile, name),
      inputs: listed(inputs),
      outputs: listed(outputs),
    });
    return {
      async run(given, place) {
        const results = new Map(Object.entries(outputs).map(([key, type]) => [key, place(key, type)]));
        const feeds = Object.keys(inputs).flatMap((key) => given[key] ?? []);
        session.run(feeds, [...results.values()]);
        return results;
      },
      async release() {
        if (settings.profile !== undefined) session.endProfiling();
        session.release();
      },
    };
  };
}

/** Sessions of onnxruntime-node. */
function nodeSession(
  { surroundings, settings, inPlace, contention }: Context,
  program: Program,
): (spinning: boolean) => Promise<Session> {
  const { ort } = surroundings;
  const training = Object.values(program.state).some((output) => output !== null);
  const written = inPlace && training;
  // The request's bytes are let go after loading; a copy serves to load the session again.
  const copied = contention !== undefined && program.model.byteLength <= KEPT_BYTES;
  const model = written ? withLeadingSequence(program.model) : copied ? program.model.slice() : program.model;
  const open = async (spinning: boolean, fallback: boolean): Promise<InferenceSession> =>
    ort.InferenceSession.create(
      model,
      sessionOptions(settings, { name: program.name, training, fallback, spinning }),
    );
  return async (spinning) => {
    const session = await open(spinning, false).catch(async (error: unknown) => {
      if (!isFallback(error)) throw error;
      const named = await unsupported(surroundings, "cuda", program);
      surroundings.warn?.(
        `program "${program.name}" does not run on cuda alone: ${named} will run on the CPU, with copies at every run`,
      );
      return open(spinning, true);
    });
    return {
      async run(inputs, place) {
        const feeds: Record<string, Tensor> = {};
        for (const [name, type] of Object.entries(program.inputs)) {
          const data = inputs[name];
          if (data !== undefined) feeds[name] = hostTensor(ort, type, data);
        }
        if (!written) {
          const returned = await session.run(feeds);
          return new Map(Object.entries(returned).map(([name, tensor]) => [name, hostData(tensor)]));
        }
        const results = new Map<string, TensorData>();
        const fetches: Record<string, Tensor | null> = { [leadingSequence]: null };
        for (const [name, type] of Object.entries(program.outputs)) {
          const data = place(name, type);
          results.set(name, data);
          fetches[name] = hostTensor(ort, type, data);
        }
        await stoppedRun(session, feeds, fetches);
        return results;
      },
      async release() {
        if (settings.profile !== undefined) session.endProfiling();
        await session.release();
      },
    };
  };
}

/** A run that ends at the leading output: what follows it was written into `fetches`. */
async function stoppedRun(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: Record<string, Tensor | null>,
): Promise<void> {
  try {
    await session.run(feeds, fetches);
  } catch (error) {
    if (error instanceof Error && error.message === STOPPED) return;
    throw error;
  }
  throw new Error("the run returned its leading output");
}

/** Whether outputs are in their preallocated arrays when a run stops at its leading output. */
export async function writesOutputs(ort: OnnxRuntime): Promise<boolean> {
  const session = await ort.InferenceSession.create(withLeadingSequence(identityModel), {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const y = new Float32Array(2);
    const feeds = { x: new ort.Tensor("float32", Float32Array.of(1, 2), [2]) };
    await stoppedRun(session, feeds, { [leadingSequence]: null, y: new ort.Tensor("float32", y, [2]) });
    return y[0] === 1 && y[1] === 2 && session.outputNames[0] === leadingSequence;
  } catch {
    return false;
  } finally {
    await session.release();
  }
}
