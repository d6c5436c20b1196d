"""A parquet file of pairs to batches of token ids, filled up on the right, and pixels: datasets and the folder's
processor, with the image processor that works with PIL (`--work pil`) or with torchvision."""

import torch
from common import arguments, report

try:
    from pairs import encode, load, padded
    from transformers import AutoImageProcessor, AutoProcessor
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

BATCH = 32
options = arguments()
torch.set_num_threads(options.threads)
processor = AutoProcessor.from_pretrained(options.model)
processor.image_processor = AutoImageProcessor.from_pretrained(options.model, backend=options.work)


def batches():
    for rows in load(options.model).iter(BATCH):
        better, worse, pixels = encode(processor, rows)
        sequences = better + worse
        ids = torch.tensor(padded(sequences, processor.tokenizer.pad_token_id))
        mask = torch.tensor(padded([[1] * len(sequence) for sequence in sequences], 0))
        yield ids, mask, torch.stack([torch.as_tensor(picture) for picture in pixels])


def run():
    return sum(len(pixels) for _, _, pixels in batches())


rows, sums = 0, torch.zeros(4, dtype=torch.double)
for ids, mask, pixels in batches():
    rows += len(pixels)
    weights = 1 + torch.arange(ids.shape[1]) % 97
    values = [mask.sum(), (ids * mask * weights).sum(), pixels.numel(), pixels.double().abs().sum()]
    sums += torch.tensor(values, dtype=torch.double)
tokens, weighted, values, pixels = sums.tolist()
checks = {"check_exact_tokens": tokens, "check_exact_ids": weighted, "check_exact_values": values}
report(run, rows, checks | {"check_pixels": pixels / values})
