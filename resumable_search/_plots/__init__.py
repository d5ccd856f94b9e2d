"""Pictures of a search, drawn with matplotlib from what its checkpoint knows."""
