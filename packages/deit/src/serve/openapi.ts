/** The server's interface as an OpenAPI 3.1 document, from the schemas that read requests. */
import { z } from "zod";
import { VERSION } from "../version.ts";
import { ANSWER, JSON_REQUEST, PARAMETERS } from "./classify-request.ts";
import type { NamedModel } from "./model-names.ts";

type Json = Record<string, unknown>;

const PROBLEM = z.object({
  error: z.string().describe("What is wrong."),
  code: z.string().describe("Stable name of the problem."),
  hint: z.string().optional().describe("What to do about it."),
});

const MODEL = z.object({
  name: z.string(),
  version: z.int(),
  state: z.enum(["loading", "ready"]),
  model: z.string().optional().describe("Architecture."),
  classes: z.int().optional(),
  inputSize: z.array(z.int()).optional().describe("Height and width."),
  loaded: z.string().optional().describe("When, ISO 8601."),
  problem: z.string().optional(),
  labels: z.array(z.string()).optional(),
});

const schema = (type: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(type, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return rest;
};
const json = (type: Json): Json => ({ content: { "application/json": { schema: type } } });
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const problem = (description: string): Json => ({ description, ...json(ref("Problem")) });

const ERRORS: Json = {
  "400": problem("No image, a damaged image, or unknown parameters"),
  "401": problem("The token is missing or wrong"),
  "403": problem("A host or an origin that is not allowed"),
  "404": problem("No such model"),
  "413": problem("Too many bytes or pixels"),
  "415": problem("An unsupported content type or image format"),
  "503": {
    ...problem("Busy, being loaded or being stopped"),
    headers: { "Retry-After": { description: "Seconds", schema: { type: "integer" } } },
  },
};

export function openApiDocument({
  models,
  hasToken,
  maxBytes,
}: {
  readonly models: readonly NamedModel[];
  readonly hasToken: boolean;
  readonly maxBytes: number;
}): Json {
  const names = [...new Set(models.map(({ name }) => name))];
  const versions = [...new Set(models.map(({ version }) => version))];
  const inPath = (name: string, type: Json): Json => ({ name, in: "path", required: true, schema: type });
  const ofName = inPath("name", { type: "string", enum: names });
  const ofVersion = inPath("version", { type: "integer", enum: versions });
  const shape = schema(PARAMETERS)["properties"] as Record<string, Json>;
  const inQuery = Object.entries(shape).map(([name, type]) => ({ name, in: "query", schema: type }));
  const image = { type: "string", format: "binary", description: `At most ${maxBytes} bytes.` };
  const classify = (summary: string, parameters: readonly Json[]): Json => ({
    summary,
    tags: ["classification"],
    parameters: [...parameters, ...inQuery],
    requestBody: {
      required: true,
      content: {
        "image/*": { schema: image },
        "application/octet-stream": { schema: image },
        "multipart/form-data": {
          schema: { type: "object", required: ["file"], properties: { file: image, ...shape } },
        },
        "application/json": { schema: ref("Request") },
      },
    },
    responses: { "200": { description: "Classes, best first", ...json(ref("Answer")) }, ...ERRORS },
  });
  const read = (summary: string, type: Json, parameters: readonly Json[] = []): Json => ({
    summary,
    tags: ["models"],
    parameters,
    responses: { "200": { description: "OK", ...json(type) }, "401": ERRORS["401"], "404": ERRORS["404"] },
  });
  const status = (summary: string, answers: readonly string[]): Json => ({
    summary,
    tags: ["server"],
    security: [],
    responses: Object.fromEntries(
      answers.map((code) => [
        code,
        { description: code === "200" ? "Yes" : "Not now", ...json({ type: "object" }) },
      ]),
    ),
  });
  return {
    openapi: "3.1.0",
    info: {
      title: "deit serve",
      version: VERSION,
      description:
        "Image classification. Requests and responses are those of Hugging Face's image-classification task.",
    },
    paths: {
      "/": { post: classify("Classify an image with the first model", []) },
      "/models": {
        get: read("The models", {
          type: "object",
          properties: { models: { type: "array", items: ref("Model") } },
        }),
      },
      "/models/{name}": {
        get: read("A model and its classes", ref("Model"), [ofName]),
        post: classify("Classify an image with the newest version", [ofName]),
      },
      "/models/{name}/versions/{version}": {
        get: read("A version of a model", ref("Model"), [ofName, ofVersion]),
        post: classify("Classify an image with a version", [ofName, ofVersion]),
      },
      "/models/{name}/reload": { post: read("Reload a model", ref("Model"), [ofName]) },
      "/models/{name}/versions/{version}/reload": {
        post: read("Reload a version", ref("Model"), [ofName, ofVersion]),
      },
      "/healthz": { get: status("Whether the server runs", ["200"]) },
      "/readyz": { get: status("Whether all models are loaded", ["200", "503"]) },
      "/metrics": {
        get: {
          summary: "Prometheus metrics",
          tags: ["server"],
          responses: {
            "200": { description: "Text", content: { "text/plain": { schema: { type: "string" } } } },
          },
        },
      },
    },
    components: {
      schemas: {
        Request: schema(JSON_REQUEST),
        Answer: schema(ANSWER),
        Model: schema(MODEL),
        Problem: schema(PROBLEM),
      },
      ...(hasToken && { securitySchemes: { token: { type: "http", scheme: "bearer" } } }),
    },
    ...(hasToken && { security: [{ token: [] }] }),
  };
}
