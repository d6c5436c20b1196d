"""The tokenizers library on the text of bench/data_bench.cc, with the tokenizer of the scenes model."""

import pathlib

from common import arguments, report

try:
    from tokenizers import Tokenizer
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

SENTENCE = "How do I handle the red circle in this picture safely? It is next to 12 green squares.\n"
text = SENTENCE * -(-100000 // len(SENTENCE))
tokenizer = Tokenizer.from_file(str(pathlib.Path(arguments().model) / "tokenizer.json"))


def run():
    return tokenizer.encode(text)


report(run, len(text), {"check_tokens": len(run().ids)})
