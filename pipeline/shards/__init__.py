"""Features, and HDF5 shards for training."""
