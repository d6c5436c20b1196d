"""Preference pairs of a folder of write_pairs.py, with datasets and the folder's own processor."""

import pathlib

from datasets import Image, load_dataset


def load(folder):
    """Rows in the order of the file, read as they are asked for; pictures are decoded by PIL."""
    rows = load_dataset("parquet", data_files=str(pathlib.Path(folder) / "pairs.parquet"), split="train", streaming=True)
    return rows.cast_column("image", Image())


def user(question):
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def encode(processor, rows):
    """Token ids of prompts with the better answers, the same with the worse ones, and one picture's pixels a row.

    Prompt and answer are tokenised apart: an answer's tokens must not depend on the end of its prompt."""
    prompts = processor.apply_chat_template([user(question) for question in rows["question"]], add_generation_prompt=True)
    inputs = processor(images=rows["image"], text=prompts)
    tokenizer = processor.tokenizer

    def answers(numbers):
        texts = [" " + rows[f"response_{number}"][i] for i, number in enumerate(numbers)]
        return [ids + [tokenizer.eos_token_id] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]

    better = rows["more_helpful_response_id"]
    sides = [answers(better), answers([3 - number for number in better])]
    sequences = [[prompt + answer for prompt, answer in zip(inputs["input_ids"], side)] for side in sides]
    return *sequences, inputs["pixel_values"]


def padded(sequences, fill):
    longest = max(map(len, sequences))
    return [sequence + [fill] * (longest - len(sequence)) for sequence in sequences]
