"""Labelled vectors: what a classifier is trained and measured on, in memory or in one packed HDF5 file.

The packed file (docs/formats.md, Dataset file):

/                     attributes `vidclf_dataset` (1), `task`
/labels               uint8: a JSON list in UTF-8
/vectors/<space id>   floating point, shape (rows, dimension); a row of zeros: the video has nothing there
/targets              whole numbers; `single`: the label's number, shape (rows,); `multi`: 0 or 1, shape
                      (rows, labels)
/ids/text             uint8: all ids in UTF-8, one after another
/ids/ends             whole numbers, shape (rows,): where in `text` each ends
/groups/text, ends    likewise: the source of each row; rows of one source are never split
/splits               whole numbers, shape (rows,), optional: a `Split` per row
"""

from vidclf_cli.dataset.read import open_dataset
from vidclf_cli.dataset.table import Dataset, Rows, Split, empty_rows
from vidclf_cli.dataset.write import DatasetWriter, write_dataset

__all__ = ["Dataset", "DatasetWriter", "Rows", "Split", "empty_rows", "open_dataset", "write_dataset"]
