"""Hash trees: the reference values of RFC 6962's own test data, and every path of every small tree."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.trust import merkle
from lianyun.trust.digests import NAMES, SHA256, digest

# The eight leaves and nine tree heads published with the RFC's reference implementation
# (certificate-transparency, merkletree tests), also used by RFC 9162's implementations.
LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
HEADS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# PATH(m, D[8]) for the leaves 0 and 5 of the same data.
PATH_0 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
PATH_5 = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]


def _hashed(name: str, leaves: list[bytes]) -> list[bytes]:
    return [merkle.leaf_hash(name, leaf) for leaf in leaves]


@pytest.mark.parametrize("size", range(9))
def test_published_heads(size: int) -> None:
    assert merkle.root_of(SHA256, _hashed(SHA256, LEAVES[:size])).hex() == HEADS[size]


def test_published_paths() -> None:
    hashed = _hashed(SHA256, LEAVES)
    assert [p.hex() for p in merkle.path_of(SHA256, hashed, 0)] == PATH_0
    assert [p.hex() for p in merkle.path_of(SHA256, hashed, 5)] == PATH_5


def _recursive(name: str, leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, 2.1 writes it down."""
    if len(leaves) == 1:
        return digest(name, b"\x00" + leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return digest(
        name, b"\x01" + _recursive(name, leaves[:split]) + _recursive(name, leaves[split:])
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_as_the_rfc_defines_it(leaves: list[bytes], data: st.DataObject) -> None:
    for name in NAMES:
        hashed = _hashed(name, leaves)
        root = merkle.root_of(name, hashed)
        assert root == _recursive(name, leaves)
        index = data.draw(st.integers(0, len(leaves) - 1))
        path = merkle.path_of(name, hashed, index)
        assert merkle.contains(root, hashed[index], index, len(leaves), path, name)
        # Nothing else stands there: another leaf, another place, a longer or shorter path.
        assert not merkle.contains(root, digest(name, b"x"), index, len(leaves), path, name)
        assert not merkle.contains(root, hashed[index], index, len(leaves), [*path, root], name)
        assert not merkle.contains(root, hashed[index], len(leaves), len(leaves), path, name)
        if path:
            assert not merkle.contains(root, hashed[index], index, len(leaves), path[:-1], name)
            broken = [hashlib.sha256(path[0]).digest(), *path[1:]]
            assert not merkle.contains(root, hashed[index], index, len(leaves), broken, name)


def test_a_node_is_no_leaf() -> None:
    """Without the first byte a tree's inner node could be shown as a record."""
    hashed = _hashed(SHA256, LEAVES[:2])
    root = merkle.root_of(SHA256, hashed)
    assert merkle.leaf_hash(SHA256, hashed[0] + hashed[1]) != root
