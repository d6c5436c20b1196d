#!/usr/bin/env python3
"""Checks that Rein and transformers read each other's model folders: same names, token ids and logits.

    tests/parity/parity.py [--bin build/release/bin] [--work FOLDER] [KIND ...]

transformers makes tiny models with random weights (tests/parity/tiny_folders.py) and Rein trains them on scenes (synthetic), whole,
with adapters and as a guard, and one of its own. Each folder is compared in both; what no gradient reaches must be in the trained
folder as it was, to the bit; adapters are loaded and merged by PEFT; a guard's head on hidden states of transformers must give the
verdicts of Rein. Exits 0 when all agree, 1 when not, 77 where a package is missing.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    import torchvision  # noqa: F401  AutoProcessor of Qwen2-VL needs it
    from peft import PeftConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers.utils.logging import disable_progress_bar
    import tiny_folders
    from load_in_transformers import (QUESTION, compare, load_model, logits_of, random_picture, transformers_inputs,
                                      with_image_token)
except ImportError as error:
    print(f"skipped: {error}; needs torch, torchvision, transformers (5 or newer), peft, safetensors, numpy, pillow")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPTS = (QUESTION, "USER: hello, who are you? ASSISTANT:")
OWN = "written_by_rein"

TRAINER = """model: {model}
data: data/{data}.parquet
output: {output}
steps: 2
batch: 8
optimizer: {{learning_rate: 1e-3}}
"""
ADAPTER = "lora: {rank: 4, alpha: 8}\n"


class Rein:
    """Runs verbs of Rein in a folder where scenes are."""

    def __init__(self, program, work):
        self.program, self.work = program, work
        self.run("data", "scenes", "--out", "data", "--train-rows", "64", "--evaluation-rows", "8")

    def run(self, *arguments):
        """What it prints."""
        done = subprocess.run([str(self.program), *arguments], check=True, stdout=subprocess.PIPE, cwd=self.work, text=True)
        return done.stdout

    def train(self, model, output, more="", kind="sft"):
        """A folder as `rein train` writes it."""
        data = "preferences" if kind == "guard" else "sft"
        (self.work / "train.yaml").write_text(TRAINER.format(model=model, data=data, output=output) + more)
        self.run("train", kind, "train.yaml")
        return self.work / output


def compare_prompts(rein, folder, model=None):
    return [text for prompt in PROMPTS for text in compare(rein.program, folder, prompt, model=model)]


def same_bits(a, b):
    return torch.equal(a.detach().view(torch.int32), b.detach().view(torch.int32))


def compare_unused(before, after, work):
    """What changed although no gradient reaches it, e.g. the last block of a CLIP tower; something else must have changed."""
    picture = work / "picture.png"
    random_picture(picture)
    model, _ = load_model(before)
    trained = dict(load_model(after)[0].named_parameters())
    model(**transformers_inputs(before, with_image_token(before, model, QUESTION), picture)).logits.sum().backward()
    equal = {name: same_bits(parameter, trained[name]) for name, parameter in model.named_parameters()}
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    print(f"{after.name}: {len(equal)} tensors, {sum(equal.values())} as before, {len(unused)} unused")
    wrong = [f"{name} is unused and has changed" for name in unused if not equal[name]]
    return wrong if not all(equal.values()) else wrong + ["training has changed nothing"]


def compare_adapter(rein, base, output):
    """PEFT puts the adapter on the model that it was trained on: that must be the merged model that Rein wrote."""
    model, _ = load_model(base)
    adapted = get_peft_model(model, PeftConfig.from_pretrained(output / "adapter"))
    weights = load_peft_weights(output / "adapter", device="cpu")
    loaded = set_peft_model_state_dict(adapted, weights)
    wrong = [f"PEFT does not know {name}" for name in loaded.unexpected_keys]
    wrong += [f"PEFT misses {name}" for name in loaded.missing_keys if "lora_" in name]
    if not any(value.any() for name, value in weights.items() if "lora_B" in name):
        wrong.append("the adapter has learnt nothing")
    return wrong + compare_prompts(rein, output, adapted.merge_and_unload().eval())


def last_hidden(model, inputs):
    """Of the last token, as the head of the language model gets it."""
    kept = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, arguments: kept.append(arguments[0]))
    logits_of(model, inputs)
    hook.remove()
    return kept[0][0, -1]


def guard_likelihoods(rein, folder, model, question):
    """P(minor), P(moderate), P(severe) of what `question` (flags of rein) asks, by transformers and the file of the head."""
    out, picture = rein.work / "ids.safetensors", rein.work / "picture.png"
    random_picture(picture)
    rein.run("logits", "--model", str(folder), *question, "--image", str(picture), "--out", str(out))
    ids = load_file(out)["input_ids"].long().reshape(1, -1)
    inputs = transformers_inputs(folder, with_image_token(folder, model, QUESTION), picture)
    for name, values in (("input_ids", ids), ("attention_mask", torch.ones_like(ids)),
                         ("mm_token_type_ids", (ids == model.config.image_token_id).long())):
        if name in inputs:
            inputs[name] = values
    head = load_file(folder / "guard_head.safetensors")
    ordinal = (head["weight"] @ last_hidden(model, inputs) + head["bias"])[:3]
    verdict = json.loads(rein.run("guard", "moderate", "--guard", str(folder), *question, "--image", str(picture), "--json"))
    return torch.sigmoid(ordinal).cumprod(0), torch.tensor(verdict["at_or_above"])


def compare_guard(rein, folder, tolerance=1e-4):
    """What differs between the verdicts of Rein and those of its head in transformers."""
    model, _ = load_model(folder)
    wrong = []
    for question in (["--prompt", "what is this?"], ["--prompt", "what is this?", "--response", "a red circle"]):
        theirs, ours = guard_likelihoods(rein, folder, model, question)
        difference = (theirs - ours).abs().max().item()
        print(f"{folder.name}: P(minor) {ours[0]:.4f}, largest difference of likelihoods {difference:.2e} "
              f"(tolerance {tolerance:.0e})")
        if not difference < tolerance:
            wrong.append(f"verdicts differ by {difference:.2e}")
    return wrong


def check(name, wrong):
    for text in wrong:
        print(f"{name}: {text}")
    return not wrong


def check_kind(rein, name, kind, seed):
    folder = tiny_folders.make(rein.work / name, kind, seed)
    trained = rein.train(name, f"{name}_trained")
    adapted = rein.train(name, f"{name}_adapted", ADAPTER)
    guard = rein.train(name, f"{name}_guard", kind="guard")
    return all([check(name, compare_prompts(rein, folder)),
                check(trained.name, compare_prompts(rein, trained) + compare_unused(folder, trained, rein.work)),
                check(adapted.name, compare_prompts(rein, adapted) + compare_adapter(rein, folder, adapted)),
                check(guard.name, compare_prompts(rein, guard) + compare_guard(rein, guard))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--work", type=pathlib.Path, help="empty folder for what is made; default: a temporary one")
    arguments = parser.parse_args()
    known = [OWN, *tiny_folders.KINDS]
    for kind in arguments.kinds:
        if kind not in known:
            parser.error(f"no kind is called {kind}; there are {', '.join(known)}")
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or pathlib.Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        rein = Rein((arguments.bin / "rein").resolve(), work)
        agree = []
        for seed, name in enumerate(known):
            if arguments.kinds and name not in arguments.kinds:
                continue
            if name == OWN:
                agree.append(check(OWN, compare_prompts(rein, rein.train("data/base", OWN))))
            else:
                agree.append(check_kind(rein, name, tiny_folders.KINDS[name], seed))
    print("all agree" if all(agree) else "there are differences")
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
