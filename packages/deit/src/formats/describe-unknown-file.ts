/** What a file that holds no weights is instead, by its first bytes: for messages that say what went wrong. */

/** What it is, and what to do. */
export interface ForeignFile {
  readonly what: string;
  readonly hint: string;
}

const AGAIN =
  "The download went wrong (a log-in page, a wrong address): look into it with an editor, then get the file again.";
const OTHER =
  "Expected a .safetensors file, the index of a sharded set, or a .pth, .pt or .bin file of torch.save.";

/** How text begins, and what begins so. */
const TEXTS: readonly (readonly [RegExp, string, string])[] = [
  [
    /^version https:\/\/git-lfs/,
    "is a Git LFS pointer, which stands for a file that was not fetched",
    "Run git lfs pull where it was cloned, or download the file itself from its page.",
  ],
  [/^\s*<(?:!doctype|html)/i, "is a web page", AGAIN],
  [/^\s*<\?xml/, "is an XML text, as servers send with a refusal", AGAIN],
  [/^(?:GIF8|RIFF)/, "is an image or a recording", OTHER],
  [/^(?:GGUF|ggml)/, "is a GGUF file, of quantised language models", OTHER],
  [/^.{4}TFL3/s, "is a TensorFlow Lite file", OTHER],
];

/** The same in hexadecimal. */
const BYTES: typeof TEXTS = [
  [/^1f8b/, "is compressed with gzip", "Unpack it first."],
  [/^(?:fd377a585a|425a68|28b52ffd|377abcaf|52617221)/, "is a compressed archive", "Unpack it first."],
  [/^(?:ffd8ff|89504e47)/, "is an image or a recording", OTHER],
  [/^89484446/, "is an HDF5 file (Keras, TensorFlow)", OTHER],
  [/^934e554d5059/, "is an array of NumPy", OTHER],
  [
    /^(?:800[2-5]|284c)/,
    "is a pickle of PyTorch before 1.6, or of something else",
    "Save it again with a PyTorch of today: torch.save(torch.load(file), file), or as safetensors.",
  ],
];

/** Undefined for what could be weights. `head`: the first bytes, some tens of them. */
export function foreignFile(head: Uint8Array): ForeignFile | undefined {
  // a safetensors header, whatever its length's bytes happen to spell
  if (head[8] === 0x7b) return undefined;
  const bytes = Buffer.from(head);
  const kind =
    TEXTS.find(([pattern]) => pattern.test(bytes.toString("latin1"))) ??
    BYTES.find(([pattern]) => pattern.test(bytes.toString("hex")));
  return kind && { what: kind[1], hint: kind[2] };
}
