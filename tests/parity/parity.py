#!/usr/bin/env python3
"""Checks that Rein and transformers read each other's model folders: same names, token ids and logits.

    tests/parity/parity.py [--bin build/release/bin] [--work FOLDER]

Lets Rein train tiny models on scenes (synthetic) and transformers make tiny LLaVA and Qwen2-VL models with random weights, and
compares each folder in both. Exits 0 when all agree, 1 when not, 77 where torch, transformers, safetensors, numpy or pillow is not
installed.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import torch
    from transformers import (CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor,
                              PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration)
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.utils.logging import disable_progress_bar
    from load_in_transformers import QUESTION, compare
except ImportError as error:
    print(f"skipped: {error}; needs torch, transformers (5 or newer), safetensors, numpy, pillow")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "models"
PICTURE_SIZE = 32
PROMPTS = (QUESTION, "USER: hello, who are you? ASSISTANT:")

TRAINER = """model: {model}
data: data/sft.parquet
output: {output}
steps: 2
batch: 8
optimizer: {{learning_rate: 1e-3}}
"""

TEXT = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=256,
            initializer_range=0.2)
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=PICTURE_SIZE,
              patch_size=8, initializer_range=0.2)

# name: (text, root, how it is saved)
MADE_IN_TRANSFORMERS = {
    "plain": ({}, {}, {}),
    "grouped_queries_theta_shards": (
        dict(num_key_value_heads=2, rope_parameters=dict(rope_type="default", rope_theta=1e6)),
        dict(vision_feature_layer=-1, vision_feature_select_strategy="full"), dict(max_shard_size="200KB")),
    "tied_bfloat16": (dict(num_key_value_heads=1, tie_word_embeddings=True), dict(tie_word_embeddings=True),
                      dict(dtype=torch.bfloat16)),
}


def train_in_rein(rein, work, model, output):
    """A folder as `rein train` writes it."""
    def run(*arguments):
        subprocess.run([str(rein), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=work)
    if not (work / "data").exists():
        run("data", "scenes", "--out", "data", "--train-rows", "64", "--evaluation-rows", "8")
    (work / "sft.yaml").write_text(TRAINER.format(model=model, output=output))
    run("train", "sft", "sft.yaml")
    return work / output


def make_in_transformers(folder, text, root, saving, seed):
    """A folder as transformers writes it, processor included."""
    template = (FIXTURES / "processor" / "chat_template.jinja").read_text()
    tokenizer_file = FIXTURES / "tokenizers" / "qwen2" / "tokenizer.json"
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    images = CLIPImageProcessorPil(size={"shortest_edge": PICTURE_SIZE},
                                   crop_size={"height": PICTURE_SIZE, "width": PICTURE_SIZE})
    strategy = root.get("vision_feature_select_strategy", "default")
    LlavaProcessor(images, tokenizer, patch_size=VISION["patch_size"], vision_feature_select_strategy=strategy,
                   num_additional_image_tokens=1, chat_template=template).save_pretrained(folder)
    vocabulary = max(tokenizer.get_vocab().values()) + 1
    config = LlavaConfig(text_config=LlamaConfig(**TEXT, vocab_size=vocabulary, **text), vision_config=CLIPVisionConfig(**VISION),
                         image_token_index=tokenizer.convert_tokens_to_ids("<image>"), **root)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config).to(saving.pop("dtype", torch.float32))
    model.save_pretrained(folder, **saving)
    return folder


def make_qwen2_vl(folder, tied, seed):
    """The same for Qwen2-VL; processor and sizes are those of the unit tests."""
    source = FIXTURES / "qwen2_vl" / "processor"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("pictures.safetensors", "cases.json"))
    config = Qwen2VLConfig.from_pretrained(source)
    config.text_config.initializer_range = config.vision_config.initializer_range = 0.2
    config.tie_word_embeddings = tied
    torch.manual_seed(seed)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def check(rein, folder):
    wrong = [text for prompt in PROMPTS for text in compare(rein, folder, prompt)]
    for text in wrong:
        print(f"{folder.name}: {text}")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--work", type=pathlib.Path, help="empty folder for what is made; default: a temporary one")
    arguments = parser.parse_args()
    disable_progress_bar()
    rein = (arguments.bin / "rein").resolve()
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or pathlib.Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        agree = [check(rein, train_in_rein(rein, work, "data/base", "written_by_rein"))]
        for seed, (name, (text, root, saving)) in enumerate(MADE_IN_TRANSFORMERS.items()):
            agree.append(check(rein, make_in_transformers(work / name, text, root, dict(saving), seed)))
        for seed, (name, tied) in enumerate({"qwen2_vl": False, "qwen2_vl_tied": True}.items()):
            agree.append(check(rein, make_qwen2_vl(work / name, tied, seed)))
            agree.append(check(rein, train_in_rein(rein, work, name, name + "_written_by_rein")))
    print("all agree" if all(agree) else "there are differences")
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
