"""The recurrence of `ewma.smooth` as a Keras optimizer. An empty room for now."""
