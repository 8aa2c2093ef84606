import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidclf_cli.cache.database import NewerSchemaError
from vidclf_cli.cache.store import EmbeddingStore, dataset_name
from vidclf_cli.errors import CacheError
from vidclf_cli.spaces import Embedding, Space

VISUAL = Space("local/net@1/visual", "local/visual", "visual", 8, "frames-8")
AUDIO = Space("local/mel@1/audio", "local/audio", "audio", 4, "seconds-20")
FINGERPRINT = "ab" + "0" * 38


def _embedding(space: Space, seed: int = 0) -> Embedding:
    return Embedding(np.random.default_rng(seed).normal(size=space.dimension).astype(np.float32), 8)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path)


def test_a_vector_comes_back_bit_for_bit_with_its_probe(store: EmbeddingStore) -> None:
    embedding = _embedding(VISUAL)
    store.write(FINGERPRINT, {"container": "mp4", "tags": {"title": "Größe"}}, {VISUAL: embedding})
    stored = store.read(FINGERPRINT, [VISUAL, AUDIO])
    assert stored.probe == {"container": "mp4", "tags": {"title": "Größe"}}
    assert list(stored.vectors) == [VISUAL.id]
    assert np.array_equal(stored.vectors[VISUAL.id], embedding.vector)


def test_adding_a_space_keeps_the_others(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    store.write(FINGERPRINT, {}, {AUDIO: _embedding(AUDIO)})
    assert store.read(FINGERPRINT, [VISUAL, AUDIO]).vectors.keys() == {VISUAL.id, AUDIO.id}


def test_another_sampling_of_a_space_is_kept_apart(store: EmbeddingStore) -> None:
    fewer = Space(VISUAL.id, VISUAL.alias, VISUAL.modality, VISUAL.dimension, "frames-4")
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    assert store.read(FINGERPRINT, [fewer]).vectors == {}
    store.write(FINGERPRINT, {}, {fewer: _embedding(fewer, 1)})
    assert np.array_equal(store.read(FINGERPRINT, [VISUAL]).vectors[VISUAL.id], _embedding(VISUAL).vector)


def test_nothing_there_is_remembered_as_such(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL), AUDIO: None})
    stored = store.read(FINGERPRINT, [VISUAL, AUDIO])
    assert stored.absent == {AUDIO.id}
    assert AUDIO.id not in stored.vectors


def test_an_unknown_fingerprint_is_empty(store: EmbeddingStore) -> None:
    stored = store.read(FINGERPRINT, [VISUAL])
    assert stored.probe is None
    assert not stored.vectors


@pytest.mark.parametrize("damage", ["truncate", "zero", "flip"])
def test_a_damaged_file_is_set_aside_and_made_again(store: EmbeddingStore, damage: str) -> None:
    store.write(FINGERPRINT, {"a": 1}, {VISUAL: _embedding(VISUAL)})
    path = store.path(FINGERPRINT)
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "zero":
        path.write_bytes(bytes(len(data)))
    else:
        payload = _embedding(VISUAL).vector.tobytes()
        data[data.index(payload) + 5] ^= 0xFF
        path.write_bytes(data)
    assert not store.read(FINGERPRINT, [VISUAL]).vectors
    assert path.with_suffix(".damaged").exists()
    store.write(FINGERPRINT, {"a": 1}, {VISUAL: _embedding(VISUAL)})
    assert VISUAL.id in store.read(FINGERPRINT, [VISUAL]).vectors


def test_adding_to_a_damaged_file_makes_it_anew(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    store.path(FINGERPRINT).write_bytes(b"not HDF5")
    store.write(FINGERPRINT, {}, {AUDIO: _embedding(AUDIO)})
    assert store.read(FINGERPRINT, [VISUAL, AUDIO]).vectors.keys() == {AUDIO.id}


def test_values_that_are_no_numbers_are_never_handed_out(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: Embedding(np.full(8, np.nan, np.float32), 1)})
    assert not store.read(FINGERPRINT, [VISUAL]).vectors


def test_a_newer_schema_is_refused_with_an_instruction(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    with h5py.File(store.path(FINGERPRINT), "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(NewerSchemaError, match="Update vidclf"):
        store.read(FINGERPRINT, [VISUAL])
    with pytest.raises(NewerSchemaError, match="Update vidclf"):
        store.write(FINGERPRINT, {}, {AUDIO: _embedding(AUDIO)})
    assert store.path(FINGERPRINT).exists(), "a newer file must not be set aside"


def test_no_temporary_file_is_left(store: EmbeddingStore, tmp_path: Path) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    assert [file.name for file in tmp_path.glob("videos/**/*") if file.is_file()] == [f"{FINGERPRINT}.h5"]


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "videos").write_text("a file where a folder should be")
    with pytest.raises(CacheError, match="--cache-dir"):
        EmbeddingStore(tmp_path).write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from vidclf_cli.cache.store import EmbeddingStore
from vidclf_cli.spaces import Embedding, Space
store = EmbeddingStore(Path(sys.argv[1]))
for index in range(25):
    space = Space(f"local/{sys.argv[2]}{index}@1/visual", "", "visual", 4, "frames-8")
    store.write("ab" + "0" * 38, {}, {space: Embedding(np.full(4, index, np.float32), 1)})
"""


def test_two_writers_of_one_file_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    spaces = [
        Space(f"local/{name}{i}@1/visual", "", "visual", 4, "frames-8") for name in "ab" for i in range(25)
    ]
    assert len(EmbeddingStore(tmp_path).read(FINGERPRINT, spaces).vectors) == 50


def test_the_layout_is_the_documented_one(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {"container": "mp4"}, {VISUAL: _embedding(VISUAL)})
    with h5py.File(store.path(FINGERPRINT), "r") as file:
        assert file.attrs["schema"] == 1
        assert dataset_name(VISUAL) == "embedded_features/local/net@1/visual/frames-8"
        assert file[dataset_name(VISUAL)].dtype == np.float32
        assert "record" in file[dataset_name(VISUAL)].attrs
        assert bytes(file["raw_features/probe"][:]) == b'{"container":"mp4"}'


def test_a_flipped_bit_of_the_probe_is_noticed(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {"duration_seconds": 12.0}, {VISUAL: _embedding(VISUAL)})
    path = store.path(FINGERPRINT)
    path.write_bytes(path.read_bytes().replace(b'"duration_seconds":12.0', b'"duration_seconds":92.0'))
    assert store.read(FINGERPRINT, [VISUAL]).probe is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that hold for this user")
def test_what_the_system_refuses_is_not_taken_for_damage(store: EmbeddingStore) -> None:
    store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    store.path(FINGERPRINT).chmod(0)
    with pytest.raises(CacheError, match="--cache-dir"):
        store.read(FINGERPRINT, [VISUAL])
    assert store.path(FINGERPRINT).exists()


def test_a_folder_in_the_place_of_a_file_is_not_taken_for_damage(store: EmbeddingStore) -> None:
    store.path(FINGERPRINT).mkdir(parents=True)
    with pytest.raises(CacheError, match="--cache-dir"):
        store.read(FINGERPRINT, [VISUAL])
    with pytest.raises(CacheError, match="--cache-dir"):
        store.write(FINGERPRINT, {}, {VISUAL: _embedding(VISUAL)})
    assert store.path(FINGERPRINT).exists()


_BIG_WRITER = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from vidclf_cli.cache.store import EmbeddingStore
from vidclf_cli.errors import CacheError
from vidclf_cli.spaces import Embedding, Space
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # a file cannot grow further: as on a full disk
space = Space("local/net@1/visual", "", "visual", 2000, "frames-8")
try:
    embedding = Embedding(np.ones(2000, np.float32), 1)
    EmbeddingStore(Path(sys.argv[1])).write("ab" + "0" * 38, {}, {space: embedding})
except CacheError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BIG_WRITER, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert "Free some space" in done.stdout
    assert [file for file in (tmp_path / "videos").rglob("*") if file.is_file()] == []
