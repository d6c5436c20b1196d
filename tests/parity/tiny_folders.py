"""Model folders of every family with random weights, as transformers writes them.

Sizes, tokenizer and processor are those of the unit tests (tests/fixtures/models/FAMILY/processor).
"""

import dataclasses
import json
import pathlib
import shutil

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "models"
# Enough positions for scenes; weights that make logits differ.
SIZES = {"text_config.max_position_embeddings": 1024, "text_config.initializer_range": 0.2,
         "vision_config.initializer_range": 0.2}


@dataclasses.dataclass
class Kind:
    family: str
    settings: dict = dataclasses.field(default_factory=dict)  # of config.json, by their path in it
    processor: dict = dataclasses.field(default_factory=dict)  # settings of processor_config.json
    dtype: torch.dtype = torch.float32
    saving: dict = dataclasses.field(default_factory=dict)


def kinds_of(family):
    tied = {"tie_word_embeddings": True, "text_config.tie_word_embeddings": True}
    return {
        family: Kind(family),
        f"{family}_shards": Kind(family, {"text_config.num_key_value_heads": 1}, saving=dict(max_shard_size="30KB")),
        f"{family}_tied_bfloat16": Kind(family, tied, dtype=torch.bfloat16),
    }


FULL = {"vision_feature_select_strategy": "full"}
KINDS = {
    **kinds_of("llava"),
    "llava_last_layer_full": Kind("llava", {"vision_feature_layer": -1, **FULL}, FULL),
    **kinds_of("llava_next"),
    "llava_next_mistral": Kind("llava_next", {"text_config.model_type": "mistral", "text_config.num_key_value_heads": 1,
                                              "text_config.sliding_window": None}),
    **kinds_of("qwen2_vl"),
    **kinds_of("idefics3"),
}


def change(file, settings):
    """Settings of a JSON file by their path in it."""
    root = json.loads(file.read_text())
    for path, value in settings.items():
        *parts, last = path.split(".")
        item = root
        for part in parts:
            item = item[part]
        item[last] = value
    file.write_text(json.dumps(root, indent=1))


def make(folder, kind, seed):
    source = FIXTURES / kind.family / "processor"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "cases.json"))
    change(folder / "processor_config.json", kind.processor)
    change(folder / "config.json", {**SIZES, **kind.settings})
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    model.to(kind.dtype).save_pretrained(folder, **kind.saving)
    return folder
