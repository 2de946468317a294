"""Pillow's results for test/data/images/bilinear.test.ts, as JSON: python3 scripts/pillow_resize.py > test/fixtures/pillow.json

Each image is scaled and cut as torchvision's Resize and CenterCrop do it. Needs Pillow and NumPy.
"""

import hashlib
import json

import numpy
import PIL
from PIL import Image

SIZES = [(37, 23, 16), (23, 38, 16), (9, 13, 20), (13, 8, 20), (16, 16, 16), (301, 200, 32), (1, 50, 8), (127, 129, 64)]


def pixels(width, height):
    """[height, width, 3], by the place alone."""
    i = numpy.arange(width * height * 3, dtype=numpy.int64)
    return ((i * i * 31 + i * 17) % 251).astype(numpy.uint8).reshape(height, width, 3)


def scaled(image, size):
    short = min(image.size)
    width, height = (int(size * side / short) for side in image.size)
    left, top = (int(round((side - size) / 2)) for side in (width, height))
    return image.resize((width, height), Image.BILINEAR).crop((left, top, left + size, top + size))


cases = []
for width, height, size in SIZES:
    out = scaled(Image.fromarray(pixels(width, height)), size)
    cases.append([width, height, size, hashlib.sha256(out.tobytes()).hexdigest()])
print(json.dumps({"pillow": PIL.__version__, "cases": cases}, indent=1))
