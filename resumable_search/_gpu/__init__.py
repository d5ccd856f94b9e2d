"""Which GPUs the workers share, and how."""
