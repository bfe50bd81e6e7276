"""Networks that hear and separate voices; they need no shards."""
