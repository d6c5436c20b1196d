"""The batch of bench/forward_bench.cc with transformers (sdpa attention), filled up to the longest sequence: on the left
for prompts, as generate() takes them, on the right for training. Tokens that fill up are not counted."""

import torch
from common import arguments, pattern, report

try:
    from transformers import AutoModelForImageTextToText
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

options = arguments()
torch.set_num_threads(options.threads)
training, ragged = options.work == "training", options.shape == "ragged"
model = AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa")
qwen = model.config.model_type == "qwen2_vl"
IMAGE, SIDE, FEATURES, BEFORE = 31999, 224, 64, 4


def matrix(rows, columns, scale):
    values = pattern(torch.arange(rows)[:, None], torch.arange(columns)[None, :]).double()
    return (scale * values).float()


def sequence(i):
    length = 16 + i * 61 % 240 if ragged else 128
    text = [20 + (i * 5 + t * 7) % 1000 for t in range(length)]
    return text[:BEFORE] + [IMAGE] * FEATURES + text[BEFORE:]


def picture(i):
    return matrix(256, 1176, 2 + i) if qwen else matrix(3 * SIDE, SIDE, 2 + i).view(1, 3, SIDE, SIDE)


sequences = [sequence(i) for i in range(8)]
longest = max(map(len, sequences))


def filled(values, with_what):
    rest = [with_what] * (longest - len(values))
    return values + rest if training else rest + values


ids = torch.tensor([filled(s, 0) for s in sequences])
given = dict(
    input_ids=ids,
    attention_mask=torch.tensor([filled([1] * len(s), 0) for s in sequences]),
    pixel_values=torch.cat([picture(i) for i in range(8)]),
)
if qwen:
    given |= dict(image_grid_thw=torch.tensor([[1, 16, 16]] * 8), mm_token_type_ids=(ids == IMAGE).int())
labels = torch.tensor([filled([-100 if t == IMAGE else t for t in s], -100) for s in sequences])
tokens = sum(map(len, sequences))


def prefill():
    with torch.no_grad():
        return model(**given, logits_to_keep=1, use_cache=False).logits[:, -1]


def train():
    model.zero_grad(set_to_none=True)
    loss = model(**given, labels=labels, use_cache=False).loss
    loss.backward()
    return loss.item()


if training:
    model.train()
    loss = train()
    gradients = sum(p.grad.double().square().sum().item() for p in model.parameters() if p.grad is not None)
    report(train, tokens, {"check_loss": loss, "check_gradients": gradients})
else:
    model.eval()
    report(prefill, tokens, {"check_logits": prefill().abs().double().mean().item()})
