#!/usr/bin/env python3
"""Compares a model folder in Rein with the same folder in transformers: names of the weights, token ids, logits.

    tests/parity/load_in_transformers.py FOLDER [--rein build/release/bin/rein] [--prompt TEXT] [--image FILE]

FOLDER may have been written by Rein or by transformers. Runs `rein logits` and transformers on the CPU in float32 and exits 0 when
transformers misses no weight and knows all, token ids are equal and logits differ by less than the tolerance, else 1. Needs torch,
torchvision, transformers, safetensors, numpy, pillow.
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
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

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


def transformers_inputs(folder, prompt, image):
    """What the folder's processor makes of them. Pictures are resized by Pillow: torchvision, the other backend, rounds
    differently (docs/parity.md)."""
    processor = AutoProcessor.from_pretrained(folder)
    processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    if image is None:
        return dict(processor(text=prompt, return_tensors="pt"))
    return dict(processor(images=[Image.open(image).convert("RGB")], text=prompt, return_tensors="pt"))


def load_model(folder):
    """The model, and the names that transformers missed, did not expect or found in another shape."""
    model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = [f"{kind}: {', '.join(str(name) for name in sorted(info[kind])[:3])}"
             for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[kind]]
    return model.eval(), wrong


def with_image_token(folder, model, prompt):
    """The prompt with the folder's image token for `<image>`."""
    token = AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(model.config.image_token_id)
    return prompt.replace("<image>", token)


def logits_of(model, inputs):
    with torch.no_grad():
        return model(**inputs).logits[0]


def compare(rein, folder, prompt=QUESTION, image=None, tolerance=1e-4, model=None):
    """What differs, as a list of texts; prints the measured difference. `<image>` in the prompt is the folder's image token.
    `model`: computes in place of the folder's."""
    wrong = []
    if model is None:
        model, wrong = load_model(folder)
    has_picture = "<image>" in prompt
    prompt = with_image_token(folder, model, prompt)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if has_picture and image is None:
            image = scratch / "picture.png"
            random_picture(image)
        image = image if has_picture else None
        try:
            ours = rein_logits(rein, folder, prompt, image, scratch / "out.safetensors")
        except subprocess.CalledProcessError as error:  # its own message is on standard error
            return wrong + [f"rein logits ended with exit status {error.returncode}"]
        inputs = transformers_inputs(folder, prompt, image)
    ids = inputs["input_ids"][0]
    if not torch.equal(ids, ours["input_ids"].long()):
        return wrong + [f"token ids differ: rein {ours['input_ids'].tolist()}, transformers {ids.tolist()}"]
    theirs = logits_of(model, inputs)
    difference = (theirs - ours["logits"]).abs().max().item()
    print(f"{folder.name}: {len(ids)} tokens, {int((ids == model.config.image_token_id).sum())} placeholders, largest difference of logits "
          f"{difference:.2e} (largest logit {theirs.abs().max().item():.2f}, tolerance {tolerance:.0e})")
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
