"""TensorBoard's event files."""

from ewma.tensorboard._read import read_scalars
from ewma.tensorboard._write import write_scalars

__all__ = ["read_scalars", "write_scalars"]
