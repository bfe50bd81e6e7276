"""What tests share: small shoots, datasets, releases, shards, encoders and projects."""
