"""PyTorch's logits of the cases that scripts/pytorch-cases.ts wrote, as JSON; that file says how to run both."""

import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "pytorch"))
from alexnet_split import load  # noqa: E402

cases = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    file = folder / "exported.safetensors"
    net = load(file).double().eval()
    images = load_file(folder / "images.safetensors")["images"].double()
    with torch.no_grad():
        logits = net(images)
    cases[folder.name] = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "logits": [[round(value, 9) for value in row] for row in logits.tolist()],
    }
print(json.dumps({"torch": torch.__version__, "cases": cases}, indent=1))
