#!/usr/bin/env python3
"""Compares Rein's tokenizer with the `tokenizers` library on random and nasty texts: ids and decoded texts.

    tests/parity/tokenizers_live.py [--driver build/release/bin/tokenize_lines] [--count 2000] [--seed 1] [KIND ...]

Kinds are the tokenizers in tests/fixtures/models/tokenizers, the same trained anew with more tokens on the sources of
Python's library ("gpt2+"), and variants of pre-tokenizers ("split:..."). Exits 0 without a difference, 1 with one, 77
where `tokenizers` is missing.
"""

import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import unicodedata

try:
    from tokenizers import Tokenizer, pre_tokenizers
except ImportError:
    print("the package tokenizers is missing: nothing is compared")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "models"
sys.path.insert(0, str(FIXTURES))
import make_tokenizers  # noqa: E402

WORDS = ("the The don't I'LL we've it's He'd 'S 'ſ Straße naïve Ελληνικά русский 日本語 한국어 नमस्ते عربى ไทย word keyword "
         "12 345 6789 0x1F 3.14 1,000 ½ ² Ⅷ ١٢ def return x_y __init__ <tag> </a> a@b.c http://x.y/z?q=1 ... !? ((( )) -- “q”").split()
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n ", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\u180e",
          "\u200b", "\ufeff", "\v", "\f", "\u2581", ""]
MARKS = ["\u0301", "\u0308", "\u0345", "\u0323", "\u0334", "\u064b", "\u093c", "\u3099", "\u1dfa", "\u20d7"]
EMOJI = ["🙂", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "1️⃣", "\u200d", "\ufe0f"]
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<image>", "<norm>", "<sep>", "<sep> mid", "<0x0A>", "<0xE2>", "</w>", "<", "<s", "s>"]
CONTROLS = [chr(c) for c in list(range(32)) + [0x7F, 0x80, 0x9F, 0xAD, 0x202E, 0xFFFD, 0xFFFE, 0xFFFF]]


# Assigned in Unicode 15 to 17, some after the tables of one library or another.
NEWER = [0x31350, 0x323AF, 0x2EBF0, 0x1C89, 0x1C8A, 0x10D4A, 0x105C0, 0x1E4F0, 0x10D40, 0x11F50, 0x1CCF0, 0x11DE0, 0x16FF4, 0x897,
         0x1E4EC, 0x11F41, 0x10EFD, 0x1E030, 0x1DFA, 0x11938, 0x32FF, 0x1F6DC, 0x1CC00, 0x2FFC, 0x11B00, 0x1E5FF, 0xA7CB, 0x10D50, 0x166D,
         0x111C9, 0x1144B, 0x2E43, 0x61D]


def any_char(rng):
    plane = rng.choice([0, 0, 0, 1, 1, 2, 3, rng.randrange(17)])
    while True:
        char = chr(plane * 0x10000 + rng.randrange(0x10000))
        if not 0xD800 <= ord(char) < 0xE000:
            return char


def piece(rng):
    kind = rng.randrange(16)
    if kind < 5:
        return rng.choice(WORDS)
    if kind < 7:
        return rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3, 9])
    if kind == 7:
        return rng.choice(SPECIALS)
    if kind == 8:
        return rng.choice(EMOJI)
    if kind == 9:
        return rng.choice("aeoun한かk" + any_char(rng)) + "".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 5)))
    if kind == 10:
        return rng.choice([rng.choice(CONTROLS), "".join(rng.choice("abc") for _ in range(rng.randrange(1, 30)))])
    if kind == 11:
        return "".join(rng.choice([any_char(rng), chr(rng.choice(NEWER)), "a"]) for _ in range(rng.randrange(1, 8)))
    if kind == 12:
        return "".join(chr(rng.randrange(33, 127)) for _ in range(rng.randrange(1, 12)))
    if kind == 13:
        return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), rng.choice(WORDS))
    if kind == 14:
        return str(rng.randrange(10**rng.randrange(1, 12)))
    return chr(rng.randrange(0x20, 0x600))


def text(rng):
    if rng.randrange(50) == 0:  # a long run
        return piece(rng) * rng.randrange(50, 400) + piece(rng)
    separator = rng.choice(["", " ", " ", "\n"])
    return separator.join(piece(rng) for _ in range(rng.randrange(0, 14)))


def library_lines(limit=3_000_000):
    """Sources of Python's own library: text that is on every machine that runs this."""
    lines, size = [], 0
    for path in sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            lines.append(line)
            size += len(line)
        if size > limit:
            break
    return lines


def showing_cuts(base):
    """A model whose ids tell where pieces begin: a byte has one token at the start of a piece and another inside."""
    byte_chars = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {prefix + char: i for i, (prefix, char) in enumerate((p, c) for p in ("", "##") for c in byte_chars)}
    model = dict(base["model"], vocab=vocab, merges=[], continuing_subword_prefix="##", ignore_merges=False, unk_token=None)
    return dict(base, model=model, added_tokens=[], post_processor=None)


def variants():
    """Pre-tokenizers and normalizers on models that show what they do."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    for name in ("gpt2", "qwen2", "llama3", "smollm2"):
        base = json.loads((FIXTURES / "tokenizers" / name / "tokenizer.json").read_text())
        yield f"cuts:{name}", json.dumps(showing_cuts(base))
    base = showing_cuts(base)
    patterns = {"string": {"String": " "}, "digits": {"Regex": r"\d{1,2}|\s+$"}, "empty": {"Regex": r"x*|[\S]{3}"},
                "classes": {"Regex": r"\p{Lu}\p{Ll}*|[^\p{P}\p{S}\s]+|\p{M}+"}, "llama3": {"Regex": make_tokenizers.LLAMA3}}
    for name, pattern in patterns.items():
        for behavior in ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
            for invert in (False, True):
                split = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
                base["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, byte_level]}
                yield f"split:{name}-{behavior}{'-inverted' if invert else ''}", json.dumps(base)
    for kind in ({"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Contiguous"},
                 {"type": "Digits", "individual_digits": False}, {"type": "ByteLevel", "add_prefix_space": True,
                                                                  "trim_offsets": True, "use_regex": True},
                 {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}):
        base["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [kind, byte_level]}
        yield f"split:{kind['type']}", json.dumps(base)
    base["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [byte_level]}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        base["normalizer"] = {"type": form}
        yield f"form:{form}", json.dumps(base)
    base["normalizer"], base["decoder"] = None, None
    yield "no-decoder", json.dumps(base)
    yield "many-ways", json.dumps(many_ways(base))


def many_ways(base):
    """Every token of up to four letters by every pair that makes it, in random order: the order of merges decides."""
    letters = [""]
    for _ in range(4):
        letters += [word + letter for word in letters for letter in "abc"]
    words = sorted(set(letters) - {""}, key=lambda word: (len(word), word))
    merges = [[word[:i], word[i:]] for word in words for i in range(1, len(word))]
    random.Random(7).shuffle(merges)
    model = dict(base["model"], vocab={word: i for i, word in enumerate(words)}, merges=merges, continuing_subword_prefix=None)
    return dict(base, model=model, added_tokens=[], pre_tokenizer=None)


def all_kinds(wanted):
    def is_wanted(name):
        return not wanted or any(name == w or (w.endswith(":") and name.startswith(w)) for w in wanted)
    for name in make_tokenizers.KINDS:
        if is_wanted(name):
            yield name, (FIXTURES / "tokenizers" / name / "tokenizer.json").read_text()
    lines = library_lines()
    for name, make in make_tokenizers.KINDS.items():
        if is_wanted(name + "+"):
            yield name + "+", make(lines=lines, vocab_size=6000).to_str()
    for name, content in variants():
        if is_wanted(name):
            yield name, content


class Driver:
    """Rein's side, in a process of its own."""

    def __init__(self, program, path):
        self.process = subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, texts):
        try:
            for item in texts:
                data = item.encode()
                self.process.stdin.write(struct.pack("<I", len(data)) + data)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has said why it ended; answer() notices

    def read(self, size):
        data = self.process.stdout.read(size)
        if len(data) < size:
            sys.exit(f"{self.process.args[0]} ended with {self.process.wait()}")
        return data

    def block(self, unit):
        return self.read(struct.unpack("<I", self.read(4))[0] * unit)

    def answer(self):
        ids = [list(struct.unpack(f"<{len(data) // 4}I", data)) for data in (self.block(4), self.block(4))]
        return ids + [self.block(1).decode() for _ in range(3)]


def reference(tokenizer, item):
    plain = tokenizer.encode(item, add_special_tokens=False).ids
    ids = tokenizer.encode(item, add_special_tokens=True).ids
    return [plain, ids, tokenizer.decode(ids, skip_special_tokens=False), tokenizer.decode(ids, skip_special_tokens=True),
            tokenizer.decode(ids[::-1], skip_special_tokens=False)]


def compare(name, content, options):
    rng = random.Random(f"{options.seed} {name}")
    texts = [text(rng) for _ in range(options.count)]
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        path.write_text(content)
        tokenizer = Tokenizer.from_file(str(path))
        driver = Driver(options.driver, path)
        sender = threading.Thread(target=driver.send, args=(texts,))
        sender.start()
        for item in texts:
            ours, theirs = driver.answer(), reference(tokenizer, item)
            if ours == theirs:
                continue
            differences += 1
            if differences <= options.show:
                print(f"{name}: {item!r}\n  rein       {ours}\n  tokenizers {theirs}")
        sender.join()
        if driver.process.wait() != 0:
            sys.exit(f"{name}: {options.driver} ended with {driver.process.returncode}")
    print(f"{name}: {len(texts)} texts, {differences} differences", flush=True)
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all; a prefix that ends with a colon takes many")
    parser.add_argument("--driver", default=str(ROOT / "build" / "release" / "bin" / "tokenize_lines"))
    parser.add_argument("--count", type=int, default=2000, help="texts of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="differences shown of each kind")
    options = parser.parse_args()
    kinds = list(all_kinds(options.kinds))
    if not kinds:
        parser.error(f"no kind is called {', '.join(options.kinds)}")
    total = sum(compare(name, content, options) for name, content in kinds)
    print(f"{len(kinds)} kinds, {total} differences in all")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
