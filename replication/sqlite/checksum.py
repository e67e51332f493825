"""WAL checksums at memory speed: https://www.sqlite.org/fileformat2.html#walformat

SQLite walks 8-byte pairs (a, b) with s0 += a + s1; s1 += b + s0, modulo 2^32. That is linear: one pair is
s' = M s + N (a, b) with M = ((1, 1), (1, 2)) and N = ((1, 0), (1, 1)). So over n pairs
s' = M^n s + sum of M^(n-1-i) N (a_i, b_i): two dot products with constant weights, and one 2x2 product a frame.
numpy does the dot products for many frames in one pass; nothing here loops over words.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from replication.sqlite.format import FRAME_HEADER_SIZE as FRAME_HEADER_SIZE
from replication.sqlite.format import WAL_HEADER_SIZE as WAL_HEADER_SIZE

_MASK = 0xFFFFFFFF

Sums = tuple[int, int]
"""The running pair (s0, s1)."""


@lru_cache(maxsize=32)
def _weights(pairs: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Weights of each word of `pairs` pairs on s0 and on s1: the columns of M^(n-1-i) N."""
    first = np.empty(2 * pairs, dtype=np.uint32)
    second = np.empty(2 * pairs, dtype=np.uint32)
    p, q, r, s = 1, 0, 0, 1  # M^k as ((p, q), (r, s)), from k = 0 at the last pair backwards
    for pair in range(pairs - 1, -1, -1):
        first[2 * pair], first[2 * pair + 1] = (p + q) & _MASK, q
        second[2 * pair], second[2 * pair + 1] = (r + s) & _MASK, s
        p, q, r, s = (p + q) & _MASK, (p + 2 * q) & _MASK, (r + s) & _MASK, (r + 2 * s) & _MASK
    return first, second


@lru_cache(maxsize=32)
def _power(pairs: int) -> tuple[int, int, int, int]:
    """M^pairs modulo 2^32, by squaring."""
    result, base, exponent = (1, 0, 0, 1), (1, 1, 1, 2), pairs
    while exponent:
        if exponent & 1:
            result = _multiply(result, base)
        base = _multiply(base, base)
        exponent >>= 1
    return result


def _multiply(x: tuple[int, int, int, int], y: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return (
        (x[0] * y[0] + x[1] * y[2]) & _MASK,
        (x[0] * y[1] + x[1] * y[3]) & _MASK,
        (x[2] * y[0] + x[3] * y[2]) & _MASK,
        (x[2] * y[1] + x[3] * y[3]) & _MASK,
    )


def checksum(data: bytes | memoryview, sums: Sums, big_endian: bool) -> Sums:
    """Continue `sums` over `data`, whose length is a multiple of 8, with words in the order the magic says."""
    words = np.frombuffer(data, dtype=">u4" if big_endian else "<u4").astype(np.uint32, copy=False)
    pairs = len(words) // 2
    first, second = _weights(pairs)
    p, q, r, s = _power(pairs)
    return (
        (p * sums[0] + q * sums[1] + int(np.dot(words, first))) & _MASK,
        (r * sums[0] + s * sums[1] + int(np.dot(words, second))) & _MASK,
    )


@lru_cache(maxsize=32)
def _frame_weights(page_size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Weights for a whole frame as words: the summed 8 bytes, 16 bytes that are not summed, the page."""
    first, second = _weights((8 + page_size) // 8)
    gap = np.zeros(4, dtype=np.uint32)
    return (
        np.concatenate([first[:2], gap, first[2:]]),
        np.concatenate([second[:2], gap, second[2:]]),
    )


def valid_frames(frames: NDArray[np.uint8], page_size: int, sums: Sums, big_endian: bool) -> tuple[int, Sums]:
    """How many of `frames` (one a row, header and page) continue the chain from `sums`, and the sums after them."""
    count = len(frames)
    if count == 0:
        return 0, sums
    stored = frames[:, 16:24].copy().view(">u4").astype(np.uint32)
    words = frames.view(">u4" if big_endian else "<u4").astype(np.uint32, copy=False)
    first, second = _frame_weights(page_size)
    sum0 = np.einsum("ij,j->i", words, first)
    sum1 = np.einsum("ij,j->i", words, second)
    # Each frame's sums follow from the sums that the frame before it claims, so all are checked at once.
    before0 = np.concatenate([np.array([sums[0]], dtype=np.uint32), stored[:-1, 0]])
    before1 = np.concatenate([np.array([sums[1]], dtype=np.uint32), stored[:-1, 1]])
    p, q, r, s = (np.uint32(value) for value in _power((8 + page_size) // 8))
    good = (p * before0 + q * before1 + sum0 == stored[:, 0]) & (r * before0 + s * before1 + sum1 == stored[:, 1])
    valid = count if good.all() else int(np.argmin(good))
    if valid:
        sums = (int(stored[valid - 1, 0]), int(stored[valid - 1, 1]))
    return valid, sums


def chain(frames: NDArray[np.uint8], page_size: int, sums: Sums, big_endian: bool) -> NDArray[np.uint32]:
    """The sums that each of `frames` must carry, as rows of two: for making WAL bytes, in tests and tools."""
    words = frames.view(">u4" if big_endian else "<u4").astype(np.uint32, copy=False)
    first, second = _frame_weights(page_size)
    sum0 = np.einsum("ij,j->i", words, first)
    sum1 = np.einsum("ij,j->i", words, second)
    p, q, r, s = _power((8 + page_size) // 8)
    result = np.empty((len(frames), 2), dtype=np.uint32)
    s0, s1 = sums
    for row in range(len(frames)):
        s0, s1 = (p * s0 + q * s1 + int(sum0[row])) & _MASK, (r * s0 + s * s1 + int(sum1[row])) & _MASK
        result[row] = s0, s1
    return result
