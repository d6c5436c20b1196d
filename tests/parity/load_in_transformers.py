#!/usr/bin/env python3
"""Compares a model folder in Rein with the same folder in transformers: names of the weights, token ids, logits.

    tests/parity/load_in_transformers.py FOLDER [--rein build/release/bin/rein] [--prompt TEXT] [--image FILE]

FOLDER may have been written by Rein or by transformers. Runs `rein logits` and transformers on the CPU in float32 and exits 0 when
transformers misses no weight and knows all, token ids are equal and logits differ by less than the tolerance, else 1. Needs torch,
transformers, safetensors, numpy, pillow.
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
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

QUESTION = "USER: <image>\nWhat is shown here? ASSISTANT:"


def random_picture(path, height=48, width=61):
    levels = numpy.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
    Image.fromarray(levels).save(path)


def rein_logits(rein, folder, prompt, image, out):
    command = [str(rein), "logits", "--model", str(folder), "--raw", "--prompt", prompt, "--out", str(out)]
    if image is not None:
        command += ["--image", str(image)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return load_file(out)


def transformers_ids(folder, prompt, placeholders, image_token_id):
    """Ids of the prompt with its single placeholder expanded, as the processors of LLaVA and Qwen2-VL do."""
    ids = AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    expanded = []
    for token in ids:
        expanded += [token] * (placeholders if token == image_token_id else 1)
    return torch.tensor(expanded)


def transformers_picture(folder, image):
    """Pictures are resized by Pillow: torchvision, the other backend, rounds differently (docs/parity.md)."""
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return dict(processor(Image.open(image).convert("RGB"), return_tensors="pt"))


def load_model(folder):
    """The model, and the names that transformers missed, did not expect or found in another shape."""
    model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = [f"{kind}: {', '.join(str(name) for name in sorted(info[kind])[:3])}"
             for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[kind]]
    return model.eval(), wrong


def transformers_logits(model, ids, picture):
    given = dict(input_ids=ids[None], **picture)
    if "image_grid_thw" in picture:  # Qwen2-VL's positions depend on where pictures are
        given["mm_token_type_ids"] = (given["input_ids"] == model.config.image_token_id).int()
    with torch.no_grad():
        return model(**given).logits[0]


def compare(rein, folder, prompt=QUESTION, image=None, tolerance=1e-4):
    """What differs, as a list of texts; prints the measured difference. `<image>` in the prompt is the folder's image token."""
    model, wrong = load_model(folder)
    image_token_id = model.config.image_token_id
    has_picture = "<image>" in prompt
    prompt = prompt.replace("<image>", AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(image_token_id))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if has_picture and image is None:
            image = scratch / "picture.png"
            random_picture(image)
        try:
            ours = rein_logits(rein, folder, prompt, image, scratch / "out.safetensors")
        except subprocess.CalledProcessError as error:  # its own message is on standard error
            return wrong + [f"rein logits ended with exit status {error.returncode}"]
        picture = transformers_picture(folder, image) if has_picture else {}
    placeholders = int((ours["input_ids"] == image_token_id).sum())
    ids = transformers_ids(folder, prompt, placeholders, image_token_id)
    if not torch.equal(ids, ours["input_ids"].long()):
        return wrong + [f"token ids differ: rein {ours['input_ids'].tolist()}, transformers {ids.tolist()}"]
    theirs = transformers_logits(model, ids, picture)
    difference = (theirs - ours["logits"]).abs().max().item()
    print(f"{folder.name}: {len(ids)} tokens, {placeholders} placeholders, largest difference of logits {difference:.2e} "
          f"(largest logit {theirs.abs().max().item():.2f}, tolerance {tolerance:.0e})")
    # A difference that is not a number is none that is small.
    return wrong if difference < tolerance else wrong + [f"logits differ by {difference:.2e}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rein", default=pathlib.Path(__file__).parents[2] / "build" / "release" / "bin" / "rein")
    parser.add_argument("--prompt", default=QUESTION)
    parser.add_argument("--image", type=pathlib.Path, help="default: a random picture; none is used without <image>")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    wrong = compare(arguments.rein, arguments.folder, arguments.prompt, arguments.image, arguments.tolerance)
    print("\n".join(wrong) or "equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
