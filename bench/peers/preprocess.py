"""The image processors of transformers that work with PIL, on the pictures and with the settings of
bench/pictures_bench.cc; decoding by PIL."""

import io
import pathlib

import torch
from common import arguments, report

try:
    import numpy
    from PIL import Image
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
except ImportError as error:
    raise SystemExit(f"not measured: {error}")

options = arguments()
torch.set_num_threads(options.threads)
CROP = dict(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
MAKE = {
    "clip": lambda: CLIPImageProcessorPil(**CROP),
    "llava_next": lambda: LlavaNextImageProcessorPil(**CROP, image_grid_pinpoints=PINPOINTS),
    "qwen2_vl": Qwen2VLImageProcessorPil,
    "idefics3": lambda: Idefics3ImageProcessorPil(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}),
}
processor = MAKE[options.work]()
size, form = options.shape.split("/")
file = pathlib.Path(options.model) / f"{size}.jpg"
encoded = file.read_bytes()


def decoded():
    return numpy.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


rgb = decoded()


def run():
    image = decoded() if form == "jpeg" else rgb
    return processor(image, return_tensors="pt", input_data_format="channels_last")["pixel_values"]


pixels = run()
report(run, 1, {"check_values": float(pixels.numel()), "check_pixels": pixels.abs().double().mean().item()})
