"""Keys that are made of keys. The checkpoint can make them too, of what it holds."""

import hashlib

from .encoding import encode_str

__all__ = ["digest", "fold_key", "refit_key"]


def digest(*parts: str) -> str:
    """Combine fingerprints, in this order, into one."""
    content = b"".join(map(encode_str, parts))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def fold_key(family: str, candidate: str, split: str) -> str:
    """Return the key of a fold from those of what it is made of."""
    return digest(family, candidate, split)


def refit_key(family: str, candidate: str) -> str:
    """Return the key of the refit of a candidate."""
    return digest("refit", family, candidate)
