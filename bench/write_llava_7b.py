#!/usr/bin/env python3
"""Writes a folder of the layout and size of LLaVA-1.5-7B with random bfloat16 weights, in shards: 14 GB.

    rein data scenes --out scenes
    bench/write_llava_7b.py scenes/base llava-7b

Tokenizer and templates are those of the first folder. All weights are pieces of one random block, so that writing takes as long as
the disk does. Needs torch and safetensors.
"""

import json
import math
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

MAX_SHARD_BYTES = 5_000_000_000
TEXT = dict(vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
            num_key_value_heads=32, head_dim=128, max_position_embeddings=4096)
VISION = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
              patch_size=14, projection_dim=768)


def shapes():
    tower = "vision_tower.vision_model."
    yield tower + "embeddings.class_embedding", (1024,)
    yield tower + "embeddings.patch_embedding.weight", (1024, 3, 14, 14)
    yield tower + "embeddings.position_embedding.weight", (577, 1024)
    layers = [(f"{tower}encoder.layers.{i}.", 1024, 4096) for i in range(24)]
    norms = [tower + "pre_layrnorm", tower + "post_layernorm"]
    linears = [("multi_modal_projector.linear_1", 4096, 1024), ("multi_modal_projector.linear_2", 4096, 4096)]
    for layer, width, inner in layers:
        norms += [layer + "layer_norm1", layer + "layer_norm2"]
        linears += [(f"{layer}self_attn.{part}_proj", width, width) for part in ("q", "k", "v", "out")]
        linears += [(layer + "mlp.fc1", inner, width), (layer + "mlp.fc2", width, inner)]
    for name in norms:
        yield name + ".weight", (1024,)
        yield name + ".bias", (1024,)
    for name, rows, columns in linears:
        yield name + ".weight", (rows, columns)
        yield name + ".bias", (rows,)
    text = "language_model.model."
    yield text + "embed_tokens.weight", (32064, 4096)
    for i in range(32):
        layer = f"{text}layers.{i}."
        for part in "qkvo":
            yield f"{layer}self_attn.{part}_proj.weight", (4096, 4096)
        for part in ("gate", "up"):
            yield f"{layer}mlp.{part}_proj.weight", (11008, 4096)
        yield layer + "mlp.down_proj.weight", (4096, 11008)
        yield layer + "input_layernorm.weight", (4096,)
        yield layer + "post_attention_layernorm.weight", (4096,)
    yield text + "norm.weight", (4096,)
    yield "language_model.lm_head.weight", (32064, 4096)


def write_settings(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"].update(TEXT)
    config["vision_config"].update(VISION)
    config.update(vision_feature_layer=-2, image_seq_length=576, torch_dtype="bfloat16")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    images = json.loads((folder / "preprocessor_config.json").read_text())
    images.update(size=dict(shortest_edge=336), crop_size=dict(height=336, width=336))
    (folder / "preprocessor_config.json").write_text(json.dumps(images, indent=1) + "\n")


def shards():
    shard, size = [], 0
    for name, shape in shapes():
        bytes_of = 2 * math.prod(shape)
        if shard and size + bytes_of > MAX_SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append((name, shape))
        size += bytes_of
    yield shard


def main():
    base, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    shutil.copytree(base, folder)
    write_settings(folder)
    block = (0.02 * torch.randn(1 << 24, generator=torch.Generator().manual_seed(1))).to(torch.bfloat16)
    parts, weight_map = list(shards()), {}
    for number, shard in enumerate(parts, start=1):
        file = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        tensors = {}
        for name, shape in shard:
            count = math.prod(shape)
            tensors[name] = block.repeat(-(-count // len(block)))[:count].clone().view(shape)
            weight_map[name] = file
        save_file(tensors, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1))


if __name__ == "__main__":
    main()
