"""A LLaVA folder with random weights and a score head, and in it pairs.parquet: preference pairs in the BeaverTails-V
schema with a picture each. Tokenizer and templates are those of BASE, a folder of rein-bench --write_model."""

import argparse
import io
import json
import pathlib
import shutil

import numpy
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import LlavaConfig, LlavaForConditionalGeneration

PATCH = 14
WORDS = "how do i handle the red circle in this picture safely it is next to green squares and blue lines".split()


def write_model(base, folder, side, hidden, layers):
    config = LlavaConfig.from_pretrained(base)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = hidden, 11 * hidden // 4, layers
    text.num_attention_heads = text.num_key_value_heads = hidden // 64
    text.head_dim = 64
    vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers = hidden // 2, 2 * hidden, layers // 2
    vision.num_attention_heads = hidden // 128
    vision.image_size, vision.patch_size = side, PATCH
    config.image_seq_length = (side // PATCH) ** 2
    torch.manual_seed(5)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights["score_head.weight"] = 0.02 * torch.randn(1, hidden)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def write_processor(base, folder, side):
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]:
        shutil.copy(base / name, folder / name)
    images = json.loads((base / "preprocessor_config.json").read_text())
    images |= dict(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    processor = json.loads((base / "processor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps(processor | {"patch_size": PATCH}))


def picture(random, size, form):
    """Smooth colours with noise, as photographs have it."""
    y, x = numpy.mgrid[0 : size[0], 0 : size[1]]
    a, b = random.uniform(30, 60, 2)
    waves = [127 + 90 * numpy.sin(x / (a + 9 * c) + c) * numpy.cos(y / (b - 7 * c)) for c in range(3)]
    noisy = numpy.stack(waves, -1) + random.normal(0, 6, (*size, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype("uint8")).save(file, form, quality=90)
    return {"bytes": file.getvalue(), "path": f"picture.{form}"}


def words(count, shift):
    return " ".join(WORDS[(shift + 7 * i) % len(WORDS)] for i in range(count))


def skewed(i, factor):
    """Lengths from 8 to 128, many short ones."""
    return 8 + (i * factor % 121) ** 2 // 120


def row(i, random, size, form):
    better = 1 + i % 2
    return {
        "question": words(6 + i * 13 % 20, i),
        "image": picture(random, size, form),
        "response_1": words(skewed(i, 61), i + 1),
        "response_2": words(skewed(i, 37), i + 2) + " no",
        "more_helpful_response_id": better,
        "safer_response_id": 3 - better,
        "response_1_harmless_rate": 1,
        "response_2_harmless_rate": -1,
        "is_response_1_safe": "yes",
        "is_response_2_safe": "no",
        "category": "benign",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--picture", default="480x640", help="height x width")
    parser.add_argument("--form", default="jpeg", choices=["jpeg", "png"])
    parser.add_argument("--side", type=int, default=336, help="pixels that the model takes")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    write_model(options.base, options.folder, options.side, options.hidden, options.layers)
    write_processor(options.base, options.folder, options.side)
    random = numpy.random.default_rng(5)
    size = [int(side) for side in options.picture.split("x")]
    rows = [row(i, random, size, options.form) for i in range(options.rows)]
    # Row groups of 100 rows, as datasets writes pictures.
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), options.folder / "pairs.parquet", row_group_size=100)


if __name__ == "__main__":
    main()
