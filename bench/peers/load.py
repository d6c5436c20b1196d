"""transformers from_pretrained() of a LLaVA folder in the page cache. One value in 4 KiB of every weight is read as
well: weights that need no conversion are a mapped file until then."""

import os
import pathlib

import torch
from common import arguments, report

try:
    from transformers import LlavaForConditionalGeneration
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

options = arguments()
torch.set_num_threads(options.threads)
folder = pathlib.Path(options.model)


def load():
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, options.dtype))


def run():
    for parameter in load().parameters():
        parameter.detach().flatten()[:: 4096 // parameter.element_size()].sum()


total = 0.0
for parameter in load().parameters():
    total += parameter.detach().flatten()[::997].double().abs().sum().item()
report(run, sum(os.path.getsize(file) for file in folder.glob("*.safetensors")), {"check_sum": total}, seconds=5)
