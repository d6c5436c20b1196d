"""TRL's selective_log_softmax and entropy_from_logits on logits [1024, 32000]."""

import torch
from common import arguments, pattern, report

try:
    from trl.trainer.utils import entropy_from_logits, selective_log_softmax
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

torch.set_num_threads(arguments().threads)
rows, vocab = 1024, 32000
logits = (8 * pattern(torch.arange(rows)[:, None], torch.arange(vocab)[None, :]).double()).float()
targets = torch.arange(rows) * 37 % vocab


def run():
    with torch.no_grad():
        return selective_log_softmax(logits, targets), entropy_from_logits(logits)


logprob, entropy = run()
report(run, rows, {"check_logprob": logprob.mean().item(), "check_entropy": entropy.mean().item()})
