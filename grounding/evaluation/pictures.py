"""Where the pictures of a benchmark lie: around its annotations, as published archives unpack."""

from __future__ import annotations

from pathlib import Path


class ImageFinder:
    """Finds the pictures that annotation files name, and remembers those that are missing."""

    def __init__(self, images: Path | None) -> None:
        """
        Args:
            images: the only folder to search; None for all around an annotation file.
        """
        self.images = images
        self.missing: list[tuple[Path, str]] = []
        self._folders: dict[Path, list[Path]] = {}
        self._found: dict[tuple[Path, str], Path | None] = {}

    def find(self, file: Path, name: str) -> Path:
        """Return the picture's file; one that is missing is remembered, and returned as named."""
        key = (file.parent, name)
        if key not in self._found:
            self._found[key] = self._search(file.parent, name)
            if self._found[key] is None:
                self.missing.append((file, name))
        return self._found[key] or file.parent / name

    def complaint(self) -> str:
        """Return the message about what was not found."""
        file, name = self.missing[0]
        searched = ", ".join(str(folder) for folder in self._folders_for(file.parent))
        return (
            f"{len(self.missing)} of the pictures are missing, the first is {name} of {file}; "
            f"searched in {searched}; unpack them there, or say where they are with --images"
        )

    def _search(self, parent: Path, name: str) -> Path | None:
        folders = self._folders_for(parent)
        # some annotations name the path on the machine they were made on
        for relative in dict.fromkeys((Path(name), Path(Path(name).name))):
            for folder in folders:
                if (folder / relative).is_file():
                    return folder / relative
        return None

    def _folders_for(self, parent: Path) -> list[Path]:
        if self.images is not None:
            return [self.images]
        if parent not in self._folders:
            roots = [parent, parent.parent] if parent.name == "annotations" else [parent]
            below = [folder for root in roots for folder in sorted(root.iterdir())]
            self._folders[parent] = [*roots, *(f for f in below if f.is_dir())]
        return self._folders[parent]
