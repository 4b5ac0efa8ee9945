"""Makes a tiny random CLIP text encoder with its tokenizer, as a folder of transformers.js, and records its embeddings.

    python -m pip install torch transformers onnx onnxscript
    python tests/golden/clip-text/record.py

The vocabulary is CLIP's scheme with all bytes and the merges of a few words; the model has one layer of width 16 and projects
to 12. embeddings.json has what transformers computes for each text.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizerFast

HERE = Path(__file__).resolve().parent
TEXTS = ["a photo of a cat", "a photo of a dog", "a photo of a traffic light", "Über-ÖWL, 3!"]
WORDS = "a photo of the cat dog owl traffic light them".split()
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_symbols():
    """GPT-2's printable characters of all bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in shown}
    hidden = [byte for byte in range(256) if byte not in names]
    names.update({byte: chr(256 + i) for i, byte in enumerate(hidden)})
    return [names[byte] for byte in [*shown, *hidden]]


def vocabulary():
    merges = []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = [parts[0] + parts[1], *parts[2:]]
    symbols = byte_symbols()
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols), *(a + b for a, b in merges), START, END]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges


class Embeds(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).text_embeds


if __name__ == "__main__":
    vocab, merges = vocabulary()
    tokenizer = CLIPTokenizerFast(vocab=vocab, merges=merges, unk_token=END, pad_token=END,
                                  bos_token=START, eos_token=END, model_max_length=16)
    torch.manual_seed(0)
    config = CLIPTextConfig(vocab_size=len(vocab), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                            num_attention_heads=2, max_position_embeddings=16, projection_dim=12,
                            bos_token_id=vocab[START], eos_token_id=vocab[END], pad_token_id=vocab[END])
    model = CLIPTextModelWithProjection(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        embeds = model(**tokens).text_embeds
    (HERE / "onnx").mkdir(exist_ok=True)
    torch.onnx.export(Embeds(model), (tokens["input_ids"], tokens["attention_mask"]), HERE / "onnx" / "text_model.onnx",
                      input_names=["input_ids", "attention_mask"], output_names=["text_embeds"], dynamo=False, opset_version=17,
                      dynamic_axes={"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"},
                                    "text_embeds": {0: "batch"}})
    tokenizer.save_pretrained(HERE)
    (HERE / "config.json").write_text(json.dumps({"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 12,
                                                  "text_config": config.to_dict()}, indent=1) + "\n")
    (HERE / "embeddings.json").write_text(json.dumps(
        {"texts": TEXTS, "ids": tokens["input_ids"].tolist(), "embeddings": [[round(float(x), 6) for x in row] for row in embeds]}) + "\n")
    sys.exit(0)
