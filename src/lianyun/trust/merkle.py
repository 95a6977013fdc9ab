"""Hash tree: one value for a list of leaves, and a short proof that one leaf stands in it (RFC 6962, 2.1).

Leaves and inner nodes are hashed with different first bytes, so that neither passes for the other.
The digest is SHA-256 as in the RFC, or SM3 in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .digests import SHA256, digest

LEAF = b"\x00"
NODE = b"\x01"


def leaf_hash(name: str, data: bytes) -> bytes:
    """The hash of a leaf's content."""
    return digest(name, LEAF + data)


def _node(name: str) -> Callable[[bytes, bytes], bytes]:
    return lambda left, right: digest(name, NODE + left + right)


def root_of(name: str, leaves: Sequence[bytes]) -> bytes:
    """The tree head of leaves given as their hashes; of none, the digest of nothing."""
    if not leaves:
        return digest(name, b"")
    node = _node(name)
    level = list(leaves)
    while len(level) > 1:
        # Pairs from the left, an odd one out going up unchanged: the same tree as the RFC's
        # splitting at the largest power of two.
        above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def path_of(name: str, leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of the leaf at `index` (RFC 6962, 2.1.1), lowest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    node = _node(name)
    level, path = list(leaves), []
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            path.append(level[other])
        above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level, index = above, index // 2
    return path


def root_from_path(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], name: str = SHA256
) -> bytes | None:
    """The root that a leaf's hash and its path lead to (RFC 9162, 2.1.3.2); None where the path
    does not fit a tree of `size` leaves."""
    if not 0 <= index < size:
        return None
    node = _node(name)
    at, last, value = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if at % 2 or at == last:
            value = node(step, value)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            value = node(value, step)
        at, last = at // 2, last // 2
    return value if last == 0 else None


def contains(
    root: bytes, leaf: bytes, index: int, size: int, path: Sequence[bytes], name: str = SHA256
) -> bool:
    """Whether the leaf with this hash stands at `index` in the tree of `size` leaves with this root."""
    return root_from_path(leaf, index, size, path, name) == root


__all__ = ["contains", "leaf_hash", "path_of", "root_from_path", "root_of"]
