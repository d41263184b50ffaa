"""Networks that invert physics: their layers under PyTorch, their training, and what is kept of them."""

from parscope.core.errors import MissingExtraError

try:
    import safetensors as _safetensors  # noqa: F401 - asked for here, so that everything below may import it
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("PyTorch or safetensors", "torch") from error
