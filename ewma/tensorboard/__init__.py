"""TensorBoard's event files."""

from ewma.tensorboard._read import read_scalars

__all__ = ["read_scalars"]
