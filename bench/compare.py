#!/usr/bin/env python3
"""Rein beside its peers: the same work with the same number of threads, interleaved, median and spread.

usage: bench/compare.py [--bench build/release/bin/rein-bench] [--python PYTHON] [--repetitions N] [--threads N] [--only PART]

PART is operations, models, pictures, pairs or loading. PYTHON is an interpreter that has torch, torchvision, trl, transformers and datasets;
a peer that cannot run is reported as not measured.
Results are compared before times are: a row whose checks differ is an error.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# Name, our benchmark, the peer's script and its own arguments, what items are.
WORK = [
    ("log-prob + entropy [1024, 32000]", "LogProbEntropyForward/ours", "log_prob_entropy.py", "rows/s", "TRL"),
    ("GAE, 512 responses", "Gae", "gae.py", "tokens/s", "PyTorch loop (TRL)"),
    ("tokenize 100 kB, scenes model", "Tokenize", "tokenize_text.py", "bytes/s", "tokenizers"),
    ("greedy decode, 32 prompts", "Decode", "generate.py", "tokens/s", "transformers generate"),
]
# The same on a larger folder: LLaVA layout, 0.8 GB in bfloat16, in the page cache.
LOADING = [
    ("load in bfloat16", "LoadModel", "load.py --dtype bfloat16", "bytes of files/s", "transformers"),
    ("load as float32", "LoadModelAsFloat32", "load.py --dtype float32", "bytes of files/s", "transformers"),
]
# Whole models: prompts with pictures, and forward and backward passes; sequences of ragged and of equal lengths.
FAMILIES = ["llava", "qwen2_vl"]
FORWARD = [
    (f"{work}, {shape}", f"{benchmark}/{shape}", f"forward.py --work {work} --shape {shape}", "tokens/s", "transformers")
    for work, benchmark in [("prefill", "Prefill"), ("training", "ForwardBackward")]
    for shape in ["ragged", "equal"]
]
PICTURES = [
    (
        f"{kind}, {shape}",
        f"Preprocess/{kind}/{shape}",
        f"preprocess.py --work {kind} --shape {shape}",
        "pictures/s",
        "transformers, PIL",
    )
    for kind in ["clip", "llava_next", "qwen2_vl", "idefics3"]
    for shape in ["480x640/rgb", "480x640/jpeg", "1080x1920/rgb", "1080x1920/jpeg"]
]
# Preference pairs with pictures: from the file to batches, and a reward model that is trained on them.
READING = [
    (f"parquet to batches, {kind}", "ParquetToBatches", f"pairs_to_batches.py --work {kind}", "pairs/s", "datasets, transformers")
    for kind in ["pil", "torchvision"]
]
TRAINING = [("reward model, steps of 8 pairs", "TrainReward", "train_reward.py", "pairs/s", "transformers + PyTorch loop")]
PARTS = ["operations", "models", "pictures", "pairs", "loading"]


def ours(options, benchmark, model):
    command = [
        options.bench,
        f"--threads={options.threads}",
        f"--model={model}",
        f"--benchmark_filter=^{benchmark}(/real_time|/manual_time)?$",
        "--benchmark_format=json",
        "--benchmark_min_time=1",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(text)["benchmarks"][0]
    if result.get("error_occurred"):
        sys.exit(f"{benchmark}: {result['error_message']}")
    checks = {name: value for name, value in result.items() if name.startswith("check_")}
    return result["items_per_second"], checks


def peer(options, script, model):
    name, *arguments = script.split()
    command = [options.python, HERE / "peers" / name, *arguments, "--threads", str(options.threads), "--model", model]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        return None, last
    result = json.loads(run.stdout.strip().splitlines()[-1])
    return result["items_per_second"], result["checks"]


def require_equal(name, left, right):
    """Returns the largest relative difference."""
    largest = 0.0
    for key, value in right.items():
        relative, absolute = (0, 0) if key.startswith("check_exact_") else (1e-3, 1e-6)
        if not math.isclose(left.get(key, math.nan), value, rel_tol=relative, abs_tol=absolute):
            sys.exit(f"{name}: {key} is {left.get(key)} with Rein and {value} with the peer; nothing was timed")
        largest = max(largest, abs(left[key] - value) / max(abs(value), 1e-12))
    return largest


def show(rates):
    digits = 1 if max(rates) < 100 else 0
    median, low, high = (f"{rate:,.{digits}f}" for rate in (statistics.median(rates), min(rates), max(rates)))
    return f"{median} ({low} .. {high})"


def compare(options, name, benchmark, script, unit, peer_name, model):
    _, our_checks = ours(options, benchmark, model)
    rate, peer_checks = peer(options, script, model)
    if rate is not None:
        difference = require_equal(name, our_checks, peer_checks)
        print(f"{name}: results differ by at most {difference:.1e} of their size", file=sys.stderr)
    our_rates, peer_rates = [], []
    for _ in range(options.repetitions):
        our_rates.append(ours(options, benchmark, model)[0])
        if rate is not None:
            peer_rates.append(peer(options, script, model)[0])
    if rate is None:
        return f"| {name} | {unit} | {show(our_rates)} | {peer_name}: not measured ({peer_checks}) | - |"
    ratio = statistics.median(our_rates) / statistics.median(peer_rates)
    return f"| {name} | {unit} | {show(our_rates)} | {peer_name}: {show(peer_rates)} | {ratio:.2f} |"


def folders_of(part, options, folder):
    """Writes what a part is measured on; yields a prefix for the names of its rows, and the rows with their folder."""

    def rows(work, model):
        return [(*row, str(model)) for row in work]

    if part == "operations":
        subprocess.run([options.bench, f"--write_model={folder / 'scenes'}"], check=True)
        yield "", rows(WORK, folder / "scenes")
    elif part == "loading":
        subprocess.run([options.bench, f"--write_llava={folder / 'llava'}"], check=True)
        yield "", rows(LOADING, folder / "llava")
    elif part == "pictures":
        subprocess.run([options.python, HERE / "peers/write_pictures.py", folder / "pictures"], check=True)
        yield "", rows(PICTURES, folder / "pictures")
    elif part == "pairs":
        subprocess.run([options.bench, f"--write_model={folder / 'base'}"], check=True)

        def write(name, *arguments):
            script = HERE / "peers/write_pairs.py"
            subprocess.run([options.python, script, folder / "base", folder / name, *arguments], check=True)
            return folder / name

        for form in ["jpeg", "png"]:
            yield f"{form} ", rows(READING, write(form, "--rows=128", f"--form={form}"))
        yield "", rows(TRAINING, write("train", "--side=112", "--picture=112x112", "--hidden=256", "--layers=4"))
    else:
        for family in FAMILIES:
            model = folder / f"small_{family}"
            subprocess.run([options.python, HERE / "peers/write_model.py", family, model], check=True)
            yield f"{family} ", rows(FORWARD, model)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=str(HERE.parent / "build/release/bin/rein-bench"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, help="leave the other rows out")
    options = parser.parse_args()
    print("| work | unit | Rein: median (min .. max) | peer: median (min .. max) | ratio |\n|---|---|---|---|---|")
    parts = [options.only] if options.only else PARTS
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            for name, rows in folders_of(part, options, pathlib.Path(folder)):
                for title, *work in rows:
                    print(compare(options, f"{name}{title}", *work), flush=True)


if __name__ == "__main__":
    main()
