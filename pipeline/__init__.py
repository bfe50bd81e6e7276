"""InterAct: from a two-person motion-capture shoot to a dataset and its shards."""

__version__ = "0.1.0"
