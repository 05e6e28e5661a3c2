"""Bias-corrected exponential smoothing for arrays, pandas and TensorBoard's event files."""

from ewma._warnings import EwmaWarning

__all__ = ["EwmaWarning"]
