#!/usr/bin/env python3
"""Compares a model folder in Rein with the same folder in transformers: token ids, pixels through the logits, logits.

    tests/parity/load_in_transformers.py FOLDER [--rein build/release/bin/rein] [--prompt TEXT] [--image FILE]

FOLDER may have been written by Rein or by transformers. Runs `rein logits` and transformers on the CPU in float32 and
exits 0 when token ids are equal and logits differ by less than the tolerance, else 1. Needs torch, transformers,
safetensors, numpy, pillow.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration


def random_picture(path):
    levels = numpy.random.default_rng(5).integers(0, 256, (48, 61, 3), dtype=numpy.uint8)
    Image.fromarray(levels).save(path)


def rein_logits(rein, folder, prompt, image, out):
    command = [rein, "logits", "--model", str(folder), "--raw", "--prompt", prompt, "--out", str(out)]
    if image is not None:
        command += ["--image", str(image)]
    subprocess.run(command, check=True)
    return load_file(out)


def transformers_ids(folder, prompt, placeholders, image_token_id):
    """Ids of the prompt with its single placeholder expanded, as LlavaProcessor does."""
    ids = AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    expanded = []
    for token in ids:
        expanded += [token] * (placeholders if token == image_token_id else 1)
    return torch.tensor(expanded)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rein", default=str(pathlib.Path(__file__).parents[2] / "build" / "release" / "bin" / "rein"))
    parser.add_argument("--prompt", default="USER: <image>\nWhat is shown here? ASSISTANT:")
    parser.add_argument("--image", type=pathlib.Path, help="default: a random picture; none is used without <image>")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        image = None
        if "<image>" in arguments.prompt:
            image = arguments.image or pathlib.Path(scratch) / "picture.png"
            if arguments.image is None:
                random_picture(image)
        ours = rein_logits(arguments.rein, arguments.folder, arguments.prompt, image, pathlib.Path(scratch) / "out.safetensors")
        pixels = None
        if image is not None:
            processor = AutoImageProcessor.from_pretrained(arguments.folder)
            pixels = processor(Image.open(image).convert("RGB"), return_tensors="pt")["pixel_values"]

    model = LlavaForConditionalGeneration.from_pretrained(arguments.folder, dtype=torch.float32).eval()
    image_token_id = model.config.image_token_index
    placeholders = int((ours["input_ids"] == image_token_id).sum())
    ids = transformers_ids(arguments.folder, arguments.prompt, placeholders, image_token_id)
    if not torch.equal(ids, ours["input_ids"].long()):
        print(f"token ids differ:\n  rein         {ours['input_ids'].tolist()}\n  transformers {ids.tolist()}")
        return 1
    with torch.no_grad():
        theirs = model(input_ids=ids[None], pixel_values=pixels).logits[0]
    difference = (theirs - ours["logits"]).abs().max().item()
    print(f"{len(ids)} tokens, {placeholders} placeholders, largest difference of logits {difference:.2e} "
          f"(largest logit {theirs.abs().max().item():.2f}, tolerance {arguments.tolerance:.0e})")
    return 0 if difference < arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
