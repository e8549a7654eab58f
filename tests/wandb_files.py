"""Content of an offline W&B run, read back from its ``.wandb`` file.

The file is a LevelDB log behind a header of 7 bytes: blocks of 32 KiB, in which each chunk has a
checksum (4 bytes), a length (2) and a type (1): 1 for a whole record, 2, 3 and 4 for its first,
middle and last parts.
"""

import json
import struct
import time
from pathlib import Path
from types import SimpleNamespace

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK, _HEADER = 32768, 7


def read_run(folder, seconds=60):
    """The offline run in a folder ``offline-run-...``; tables are files that wait for a sync.

    W&B's own process writes the file, and its end perhaps only after `finish` has returned.
    """
    until = time.monotonic() + seconds
    while (found := _read(folder)).exit_code is None and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _read(folder):
    found = SimpleNamespace(folder=folder, info=None, config={}, history=[], exit_code=None)
    found.summary, found.tables = {}, {}
    for data in _records(next(folder.glob("*.wandb")).read_bytes()):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.info = record.run
            found.config |= _items(record.run.config.update)
        elif kind == "config":
            found.config |= _items(record.config.update)
        elif kind == "history":
            found.history.append(_items(record.history.item))
        elif kind == "summary":
            found.summary |= _items(record.summary.update)
        elif kind == "artifact":
            files = record.artifact.manifest.contents
            found.tables |= {one.path: Path(one.local_path) for one in files}
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def _items(items):
    return {"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in items}


def _records(content):
    place, parts = _HEADER, b""
    while place + _HEADER <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # the rest of a block that holds no chunk is filled with zeros
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        if kind in (1, 4):
            yield parts
            parts = b""
