"""transformers generate(): greedy, one batch of 32 text prompts of 24 tokens, 64 new tokens, the scenes model."""

import torch
from common import arguments, report

try:
    from transformers import LlavaForConditionalGeneration
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

options = arguments()
torch.set_num_threads(options.threads)
model = LlavaForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32).eval()
prompts = torch.tensor([[20 + (i * 5 + t * 7) % 100 for t in range(24)] for i in range(32)])
end = model.generation_config.eos_token_id
ends = set(end if isinstance(end, list) else [end])


def run():
    with torch.no_grad():
        return model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=64)


def kept(row):
    """Tokens up to and with the end."""
    for i, token in enumerate(row.tolist()):
        if token in ends:
            return i + 1
    return len(row)


new = run()[:, prompts.shape[1] :]
report(run, sum(kept(row) for row in new), {"check_first_tokens": float(new[:, 0].sum())})
