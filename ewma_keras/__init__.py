"""The recurrence of `ewma.smooth` as a Keras optimizer.

Keras chooses its backend, TensorFlow, JAX or PyTorch, when it is imported; nothing here imports
another one.
"""

try:
    import keras as keras
except ImportError as error:
    raise ImportError(
        "ewma_keras needs Keras 3 and one of its backends; install "
        "`pip install 'ewma[keras]'` and tensorflow, jax or torch"
    ) from error
from ewma_keras.callbacks import SmoothedMetrics
from ewma_keras.momentum_sgd import MomentumSGD

__all__ = ["MomentumSGD", "SmoothedMetrics"]
