"""Checks an archive that `torch.save` wrote before torch opens it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.pickles import REFUSED, check_program

# Some 20,000 tensors; a byte of it may become a hundred in memory.
LONGEST_PROGRAM = 3 << 20
LARGEST_DIRECTORY = 16 << 20


def check_archive(file: Path) -> None:
    """Stop a file of `torch.save` that is compressed, contradicts itself, or whose program is no state dict.

    Raises:
        UnsupportedModel: It is.
        zipfile.BadZipFile: It is no archive.
    """
    with file.open("rb") as opened:
        # A directory of many parts takes ten times its size in memory.
        end: Any = zipfile._EndRecData(opened)  # type: ignore[attr-defined]
        if end is None or end[5] > LARGEST_DIRECTORY:
            raise UnsupportedModel(f"A weight file has no directory, or a huge one. {REFUSED}")
        with zipfile.ZipFile(opened) as archive:
            parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise UnsupportedModel(
                    "A weight file is compressed, and torch.save compresses nothing. Give the checkpoint as "
                    "it was published."
                )
            names = [part.filename.lower() for part in parts]
            programs = [part for part in parts if part.filename.lower().endswith("data.pkl")]
            if any(part.file_size != part.compress_size for part in parts) or len(set(names)) < len(names):
                raise UnsupportedModel(f"A weight file contradicts itself about its parts. {REFUSED}")
            if len(programs) != 1 or programs[0].file_size > LONGEST_PROGRAM:
                raise UnsupportedModel(
                    f"A weight file describes its tensors in {sum(one.file_size for one in programs)} bytes, "
                    f"and at most {LONGEST_PROGRAM} in one part are read. {REFUSED}"
                )
            check_program(archive.read(programs[0]))
