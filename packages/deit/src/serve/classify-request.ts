/**
 * The request of Hugging Face's image classification, in each of its forms: an image's bytes, a form, or JSON with base64; and
 * the answer's.
 */
import multipart from "@fastify/multipart";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { DeitError } from "../errors.ts";
import type { Prediction } from "../evaluation/metrics/metrics.ts";
import { topPredictions } from "../evaluation/metrics/metrics.ts";
import { HINTS } from "./problems.ts";

export const PARAMETERS = z.strictObject({
  top_k: z.int().min(1).default(5).describe("Number of predictions; all classes where there are fewer."),
  function_to_apply: z
    .enum(["softmax", "sigmoid", "none"])
    .default("softmax")
    .describe("Function that turns logits into scores; none: the logits themselves."),
});
export type Parameters = z.output<typeof PARAMETERS>;

export const JSON_REQUEST = z.strictObject({
  inputs: z.string().min(1).describe("The bytes of an image file as base64, or a data: URL."),
  parameters: PARAMETERS.prefault({}),
  options: z.unknown().optional().describe("Of Hugging Face's service; has no meaning here."),
});

export const ANSWER = z.array(
  z.object({
    label: z.string().describe("Name of a class."),
    score: z.number().describe("Probability from 0 to 1, unless function_to_apply sets another function."),
  }),
);
export type Answer = z.output<typeof ANSWER>;

export interface ClassifyRequest {
  readonly bytes: Uint8Array;
  readonly parameters: Parameters;
}

/** Fields of a form, and bytes of one that is not an image. */
const [MOST_FIELDS, FIELD_BYTES] = [8, 10_000];
/** Of JSON beside its base64. */
const JSON_EXTRA = 10_000;

/** Reads bodies as bytes, and JSON as large as an image's base64. */
export function addBodyParsers(app: FastifyInstance, { maxBytes }: { maxBytes: number }): void {
  app.removeAllContentTypeParsers();
  const bytes = { parseAs: "buffer", bodyLimit: maxBytes } as const;
  // curl --data-binary calls everything a form of a page; an image is known by its bytes.
  for (const type of [/^image\//i, "application/octet-stream", "application/x-www-form-urlencoded"])
    app.addContentTypeParser(type, bytes, (_request, body, done) => done(null, body));
  // fetch names no type for bytes.
  app.addContentTypeParser("*", bytes, (request, body, done) => {
    if (request.headers["content-type"] === undefined) done(null, body);
    else
      done(
        new DeitError("the content type is not supported", {
          code: "serve/media-type",
          hint: HINTS["serve/media-type"]?.(maxBytes),
        }),
      );
  });
  const json = { parseAs: "string", bodyLimit: Math.ceil(maxBytes / 3) * 4 + JSON_EXTRA } as const;
  app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json/i, json, (_request, body, done) =>
    done(null, body),
  );
  app.register(multipart, {
    throwFileSizeLimit: true,
    limits: {
      fileSize: maxBytes,
      files: 1,
      fields: MOST_FIELDS,
      fieldSize: FIELD_BYTES,
      parts: MOST_FIELDS + 1,
    },
  });
}

/** @throws DeitError for a request that holds no image, and for parameters that are none */
export async function readClassifyRequest(request: FastifyRequest): Promise<ClassifyRequest> {
  const query = numbers(request.query as Record<string, unknown>);
  if (request.isMultipart()) return fromForm(request, query);
  const { body } = request;
  if (typeof body === "string") return fromJson(body, query);
  if (body instanceof Uint8Array && body.length > 0)
    return { bytes: body, parameters: checked(PARAMETERS, query) };
  throw invalid("the request has no image");
}

async function fromForm(request: FastifyRequest, query: Record<string, unknown>): Promise<ClassifyRequest> {
  let bytes: Uint8Array | undefined;
  const fields: Record<string, unknown> = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === "file") bytes = await part.toBuffer();
      else fields[part.fieldname] = part.value;
    }
  } catch (error) {
    // The parser's own words for a form that is none have no code.
    if (error instanceof Error && "code" in error) throw error;
    throw invalid("the form is cut off, or none");
  }
  if (bytes === undefined || bytes.length === 0) throw invalid("the form has no file");
  const { parameters = "{}", ...others } = fields;
  const said = parsed(String(parameters), "parameters");
  const given = { ...query, ...(typeof said === "object" && said), ...numbers(others) };
  return { bytes, parameters: checked(PARAMETERS, given) };
}

function fromJson(text: string, query: Record<string, unknown>): ClassifyRequest {
  const body = parsed(text, "the request");
  const { inputs, parameters } = checked(JSON_REQUEST, body);
  const given =
    typeof body === "object" && body !== null && "parameters" in body
      ? parameters
      : checked(PARAMETERS, query);
  if (/^https?:/i.test(inputs)) throw invalid("inputs is an address: this server fetches nothing");
  const base64 = inputs.replace(/^data:[^,]{0,100};base64,/i, "");
  if (!/^[\w+/-]+={0,2}\s*$/.test(base64)) throw invalid("inputs is not base64");
  return { bytes: Buffer.from(base64, "base64"), parameters: given };
}

/** Texts of an address or a form that are numbers. */
function numbers(given: Record<string, unknown>): Record<string, unknown> {
  const number = (value: unknown): unknown =>
    typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, number(value)]));
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`${what} is not JSON`);
  }
}

function checked<T extends z.ZodType>(schema: T, given: unknown): z.output<T> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue?.path.join(".") ?? "";
  throw invalid(`${place === "" ? "the request" : place}: ${issue?.message ?? "not as expected"}`);
}

function invalid(message: string): DeitError {
  return new DeitError(message, { code: "serve/request", hint: HINTS["serve/request"]?.(0) });
}

/** The classes with the highest logits, best first. */
export function answerOf(logits: Float32Array, labels: readonly string[], parameters: Parameters): Answer {
  const { top_k: topk, function_to_apply: apply } = parameters;
  const score = ({ index, score: probability }: Prediction): number => {
    if (apply === "softmax") return probability;
    const logit = logits[index] ?? 0;
    return apply === "none" ? logit : 1 / (1 + Math.exp(-logit));
  };
  return topPredictions(logits, { topk, classes: labels }).map((found) => ({
    label: found.label,
    score: score(found),
  }));
}
