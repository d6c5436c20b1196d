"""A reward model by a plain loop: batches filled up on the right, a forward pass of both answers of all pairs, fused
AdamW. Everything is tokenised and preprocessed before. Order, steps and settings are those of bench/pairs_bench.cc."""

import json
import pathlib
import time

import torch
from common import arguments

try:
    from pairs import encode, load, padded
    from safetensors.torch import load_file
    from transformers import AutoImageProcessor, AutoProcessor, LlavaForConditionalGeneration
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

STEPS, BATCH, RATE, SEED = 12, 8, 3e-4, 1
BITS = 2**64 - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & BITS
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & BITS
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & BITS
    return x ^ (x >> 31)


def random_bits(key, counter):
    return mix(mix(key) ^ mix(~counter & BITS))


def shuffled(size, epoch):
    """data/epoch_order.h."""
    order, key = list(range(size)), random_bits(SEED, epoch)
    for counter, i in enumerate(range(size - 1, 0, -1)):
        j = random_bits(key, counter) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


options = arguments()
torch.set_num_threads(options.threads)
folder = pathlib.Path(options.model)
processor = AutoProcessor.from_pretrained(folder)
processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").model
head = torch.nn.Parameter(load_file(folder / "model.safetensors")["score_head.weight"])
parameters = [*model.parameters(), head]
optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.95), eps=1e-8, weight_decay=0, fused=True)

better, worse, pixels = [], [], []
for rows in load(folder).iter(64):
    for total, part in zip([better, worse, pixels], encode(processor, rows)):
        total += [torch.as_tensor(picture) for picture in part] if total is pixels else part


def scores(indices):
    sequences = [side[i] for side in [better, worse] for i in indices]
    ids = torch.tensor(padded(sequences, processor.tokenizer.pad_token_id))
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    hidden = model(
        input_ids=ids,
        attention_mask=(torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long(),
        pixel_values=torch.stack([pixels[i] for i in indices + indices]),
        use_cache=False,
    ).last_hidden_state
    return (hidden[torch.arange(len(ids)), lengths - 1] @ head[0]).chunk(2)


def step(indices):
    high, low = scores(indices)
    loss = -torch.nn.functional.logsigmoid(high - low).mean() + 0.001 * torch.cat([high, low]).square().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return loss.item()


model.train()
size = len(pixels)
order = [i for epoch in range(1 + STEPS * BATCH // size) for i in shuffled(size, epoch)]
losses, ends = [], []
for s in range(STEPS):
    losses.append(step(order[s * BATCH : (s + 1) * BATCH]))
    ends.append(time.perf_counter())
# The first step is the warm-up, and with the last one Rein evaluates.
rate = BATCH * (STEPS - 2) / (ends[-2] - ends[0])
print(json.dumps({"items_per_second": rate, "checks": {f"check_loss_{s}": loss for s, loss in enumerate(losses)}}))
