"""A bf16 matrix product on the GPU against the CPU, and an allocation that is given back; prints one JSON object."""

import importlib
import json

SIZE = 512
TOLERANCE = 0.02


def main() -> None:
    """Computes and prints."""
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        print(json.dumps({"gpu": False}))
        return
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    wanted = left.bfloat16().float() @ right.bfloat16().float()
    errors = []
    for index in range(torch.cuda.device_count()):
        found = (left.cuda(index).bfloat16() @ right.cuda(index).bfloat16()).float().cpu()
        errors.append(float(((found - wanted).abs().max() / wanted.abs().max()).item()))
    free_before = torch.cuda.mem_get_info()[0]
    block = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    taken = free_before - torch.cuda.mem_get_info()[0]
    del block
    torch.cuda.empty_cache()
    returned = torch.cuda.mem_get_info()[0] >= free_before - (64 << 20)
    result = {"gpu": True, "errors": errors, "right": max(errors) < TOLERANCE, "taken": taken, "returned": returned}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
