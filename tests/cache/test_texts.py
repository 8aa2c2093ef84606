import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidclf_cli.cache import measure
from vidclf_cli.cache.texts import CachedTextEmbedder, TextStore
from vidclf_cli.spaces import Space

SPACE = Space("local/letters@1/metadata", "local/metadata", "metadata", 3)


class LetterCounts:
    """A text embedder that is really computed, and counts what it was asked."""

    def __init__(self, space: Space = SPACE) -> None:
        self.space = space
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32)


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    texts = ["abc", "aab", "größe 😀", "abc"]
    first = LetterCounts()
    store = TextStore(tmp_path / "texts.sqlite")
    vectors = CachedTextEmbedder(first, store).embed(texts)
    store.close()
    assert first.asked == ["abc", "aab", "größe 😀"], "each text once"
    second = LetterCounts()
    store = TextStore(tmp_path / "texts.sqlite")
    assert np.array_equal(CachedTextEmbedder(second, store).embed(texts), vectors)
    assert second.asked == []
    store.close()
    assert measure(tmp_path).text_count == 3


def test_another_revision_of_the_embedder_computes_anew(tmp_path: Path) -> None:
    store = TextStore(tmp_path / "texts.sqlite")
    CachedTextEmbedder(LetterCounts(), store).embed(["abc"])
    newer = LetterCounts(Space("local/letters@2/metadata", "local/metadata", "metadata", 3))
    CachedTextEmbedder(newer, store).embed(["abc"])
    assert newer.asked == ["abc"]
    store.close()


def test_no_texts_give_no_rows(tmp_path: Path) -> None:
    store = TextStore(tmp_path / "texts.sqlite")
    assert CachedTextEmbedder(LetterCounts(), store).embed([]).shape == (0, 3)
    store.close()


def test_more_texts_than_one_query_takes(tmp_path: Path) -> None:
    store = TextStore(tmp_path / "texts.sqlite")
    texts = ["a" * number for number in range(1, 1200)]
    CachedTextEmbedder(LetterCounts(), store).embed(texts)
    again = LetterCounts()
    assert CachedTextEmbedder(again, store).embed(texts)[:, 0].tolist() == list(range(1, 1200))
    assert again.asked == []
    store.close()


def test_runs_that_make_the_store_at_the_same_moment_wait_for_each_other(tmp_path: Path) -> None:
    def make(number: int, barrier: threading.Barrier) -> None:
        barrier.wait()
        TextStore(tmp_path / f"{number}.sqlite").close()

    for number in range(40):
        barrier = threading.Barrier(3)
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(make, number, barrier) for _ in range(3)]:
                done.result()


def test_two_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def fill(name: str) -> None:
        store = TextStore(tmp_path / "texts.sqlite")
        embedder = CachedTextEmbedder(LetterCounts(), store)
        for number in range(50):
            embedder.embed([f"{name}{number}"])
        store.close()

    threads = [threading.Thread(target=fill, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measure(tmp_path).text_count == 100


@pytest.mark.parametrize("keep", [0, 4096])
def test_a_damaged_store_is_set_aside_and_made_again(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "texts.sqlite"
    store = TextStore(path)
    CachedTextEmbedder(LetterCounts(), store).embed([f"text {number}" for number in range(500)])
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:keep] + b"\xff" * (len(data) - keep))
    store = TextStore(path)
    assert CachedTextEmbedder(LetterCounts(), store).embed(["abc"]).tolist() == [[1, 1, 1]]
    store.close()
    assert measure(tmp_path).text_count == 1
    assert path.with_name("texts.sqlite.damaged").exists()


def test_a_flipped_bit_of_a_vector_is_noticed_and_the_text_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "texts.sqlite"
    store = TextStore(path)
    CachedTextEmbedder(LetterCounts(), store).embed(["abc"])
    store.close()
    with sqlite3.connect(path) as other:
        (stored,) = other.execute("SELECT vector FROM texts").fetchone()
        other.execute("UPDATE texts SET vector = ?", (bytes([stored[0] ^ 1]) + stored[1:],))
    other.close()
    again = LetterCounts()
    store = TextStore(path)
    assert CachedTextEmbedder(again, store).embed(["abc"]).tolist() == [[1, 1, 1]]
    assert again.asked == ["abc"]
    store.close()
