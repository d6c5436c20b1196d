"""GAE as the Python trainers write it: a loop over time steps of a padded batch of tensors (TRL's PPO), masked."""

import torch
from common import arguments, pattern, report

torch.set_num_threads(arguments().threads)
lengths = torch.tensor([128 + i * 7 % 384 for i in range(512)])
steps = int(lengths.max())
mask = torch.arange(steps)[None, :] < lengths[:, None]


def columns(shift):
    values = pattern(torch.arange(512)[:, None] + shift, torch.arange(steps)[None, :]).float()
    return values * mask


rewards, values = columns(0), columns(17)


def run():
    last, reversed_advantages = torch.zeros(512), []
    for t in reversed(range(steps)):
        following = values[:, t + 1] if t + 1 < steps else torch.zeros(512)
        delta = rewards[:, t] + 0.99 * following - values[:, t]
        last = (delta + 0.99 * 0.95 * last) * mask[:, t]
        reversed_advantages.append(last)
    return torch.stack(reversed_advantages[::-1], dim=1)


tokens = int(lengths.sum())
report(run, tokens, {"check_advantage": (run().double().sum() / tokens).item()})
