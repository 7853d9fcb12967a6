"""The file that a run writes its answers to, one line each, so that a later run goes on from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from grounding.evaluation.asking import Record

FILE_NAME = "results.jsonl"


class ResultsError(ValueError):
    """Earlier results cannot be gone on from; the message says why and what to do."""


class Results:
    """Answers of a run, on disk as soon as they are there. The first line holds the settings.

    Only whole lines count: one that was cut by a crash is taken off and its item asked again.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open the results in ``folder``, which is made if need be.

        Args:
            settings: all that an answer depends on besides its item; plain values.

        Raises:
            ResultsError: the folder holds results of other settings, or something else.
        """
        self.path = folder / FILE_NAME
        self.records: dict[str, Record] = {}
        folder.mkdir(parents=True, exist_ok=True)
        head = {"settings": json.loads(json.dumps(settings))}
        whole = self._read(head) if self.path.exists() else 0
        self._file = self.path.open("r+b" if self.path.exists() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self._write(head)

    def add(self, record: Record) -> None:
        """Write what came of an item, in the place of what came of it before."""
        self.records[record.key] = record
        self._write(record.to_dict())

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def _read(self, head: Mapping[str, Any]) -> int:
        """Take earlier answers in; return the length of all whole lines in bytes."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        first, *lines = content[:whole].split(b"\n")[:-1] or [b""]
        if not first:
            return 0
        try:
            self._compare(json.loads(first)["settings"], head["settings"])
            for line in lines:
                record = Record.from_dict(json.loads(line))
                self.records[record.key] = record
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ResultsError(
                f"{self.path} was not written by this program ({error!r:.100}); "
                "give another --out, or remove it"
            ) from error
        return whole

    def _compare(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        changes = [
            f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if changes:
            raise ResultsError(
                f"{self.path} holds answers under other settings: {'; '.join(changes)}. "
                "Give another --out, or the same settings to go on"
            )
