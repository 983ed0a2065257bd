"""Provider records: data, never code."""
