"""A folder with a model of the size that bench/forward_bench.cc measures, random weights, float32."""

import argparse

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

DECODER = dict(
    vocab_size=32000,
    hidden_size=512,
    intermediate_size=1376,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=8,
    max_position_embeddings=2048,
    tie_word_embeddings=False,
)


def llava():
    vision = CLIPVisionConfig(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4, image_size=224, patch_size=28
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(**DECODER),
        image_token_index=31999,
        image_seq_length=64,
        vision_feature_layer=-1,
    )
    return LlavaForConditionalGeneration(config)


def qwen2_vl():
    text = dict(DECODER, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[8, 12, 12]))
    vision = dict(depth=4, embed_dim=256, hidden_size=512, num_heads=4, mlp_ratio=4, patch_size=14)
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=31999,
        video_token_id=31998,
        vision_start_token_id=31997,
        vision_end_token_id=31996,
        tie_word_embeddings=False,
    )
    return Qwen2VLForConditionalGeneration(config)


parser = argparse.ArgumentParser()
parser.add_argument("family", choices=["llava", "qwen2_vl"])
parser.add_argument("folder")
options = parser.parse_args()
torch.manual_seed(5)
{"llava": llava, "qwen2_vl": qwen2_vl}[options.family]().save_pretrained(options.folder)
