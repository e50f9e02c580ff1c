"""What a run writes: schema, signature, aggregation over clips, and the files."""
