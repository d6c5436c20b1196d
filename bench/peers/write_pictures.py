"""Two JPEG pictures, 480x640.jpg and 1080x1920.jpg, height first: smooth colours with noise, as photographs have it."""

import pathlib
import sys

import numpy
from PIL import Image

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random = numpy.random.default_rng(5)
for height, width in [(480, 640), (1080, 1920)]:
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [127 + 90 * numpy.sin(x / (40 + 9 * c) + c) * numpy.cos(y / (55 - 7 * c)) for c in range(3)]
    noisy = numpy.stack(waves, -1) + random.normal(0, 6, (height, width, 3))
    Image.fromarray(noisy.clip(0, 255).astype("uint8")).save(folder / f"{height}x{width}.jpg", quality=90)
