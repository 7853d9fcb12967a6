"""Text <-> token ids, with a wall between what the template writes and what people write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from model.processing.checkpoint_files import find_folder, read_json


class Glm4vTokenizer:
    """Byte-level BPE of a checkpoint, in two forms: with its added tokens and without.

    Added tokens are all those that stand for themselves whatever surrounds them, whether the
    checkpoint flags them as special (``<|user|>``, ``/nothink``) or not (``<think>``).

    Args:
        raw: the content of tokenizer.json.
        pad_token: text of the padding token.

    Raises:
        ValueError: not a byte-level tokenizer, or one whose added tokens swallow neighbours.
    """

    def __init__(self, raw: dict[str, Any], *, pad_token: str = "<|endoftext|>") -> None:
        if (raw.get("decoder") or {}).get("type") != "ByteLevel":
            raise ValueError("tokenizer.json has no ByteLevel decoder; GLM checkpoints use one")
        added = raw.get("added_tokens", [])
        for token in added:
            if token["lstrip"] or token["rstrip"] or token["single_word"]:
                raise ValueError(
                    f"added token {token['content']!r} sets lstrip, rstrip or single_word; "
                    "no GLM checkpoint does, and the splitting of prompts does not support it"
                )
        self.added_tokens: dict[str, int] = {token["content"]: token["id"] for token in added}
        self._full = Tokenizer.from_str(json.dumps(raw))
        self._plain = Tokenizer.from_str(json.dumps(_without_added_tokens(raw)))
        pad_token_id = self.token_to_id(pad_token)
        if pad_token_id is None:
            raise ValueError(f"the padding token {pad_token!r} is not in tokenizer.json")
        self.pad_token_id: int = pad_token_id
        # longest first, as the tokenizers library matches
        longest_first = sorted(self.added_tokens, key=len, reverse=True)
        self.added_pattern = re.compile("|".join(re.escape(t) for t in longest_first) or "(?!)")

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str | Path) -> Glm4vTokenizer:
        """Read tokenizer.json, and the padding token from tokenizer_config.json."""
        folder = find_folder(path_or_hub_id)
        raw = read_json(folder, "tokenizer.json")
        if raw is None:
            raise FileNotFoundError(
                f"{folder} has no tokenizer.json; copy it from the original checkpoint"
            )
        pad_token = (read_json(folder, "tokenizer_config.json") or {}).get("pad_token")
        if isinstance(pad_token, dict):  # older files store the token with its flags
            pad_token = pad_token["content"]
        return cls(raw, pad_token=pad_token or "<|endoftext|>")

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids, added tokens included (the embedding may have more rows)."""
        return self._full.get_vocab_size(with_added_tokens=True)

    def token_to_id(self, token: str) -> int | None:
        """Return the id of one token, written as in tokenizer.json; None if there is none."""
        return self._full.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        """Return a token as written in tokenizer.json (byte-level alphabet); None if unknown."""
        return self._full.id_to_token(token_id)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Turn text into ids; without ``allow_special`` no text can become an added token."""
        tokenizer = self._full if allow_special else self._plain
        return tokenizer.encode(text, add_special_tokens=False).ids

    def encode_marked(self, text: str, marker: str) -> list[int]:
        """Encode a prompt in which ``marker`` precedes what only looks like an added token.

        The markers themselves leave no trace: text between two real added tokens is encoded in
        one piece, as if they had never been there.

        Args:
            text: the prompt.
            marker: one character that is in the prompt for this purpose only.
        """
        ids: list[int] = []
        pieces: list[str] = []  # text since the last real added token

        def flush() -> None:
            if plain := "".join(pieces).replace(marker, ""):
                ids.extend(self.encode(plain))
            pieces.clear()

        end = 0
        for match in self.added_pattern.finditer(text):
            pieces.append(text[end : match.start()])
            end = match.end()
            if pieces[-1].endswith(marker):
                pieces.append(match[0])
            else:
                flush()
                ids.append(self.added_tokens[match[0]])
        pieces.append(text[end:])
        flush()
        return ids

    def decode(self, ids: int | Iterable[int] | Tensor, skip_special_tokens: bool = False) -> str:
        """Turn ids into text; bytes that are not UTF-8 become U+FFFD.

        Args:
            ids: one id, or a sequence or 1-D tensor of them.
            skip_special_tokens: leave out the tokens that tokenizer.json flags as special. Thought
                and tool tags usually are not flagged, box markers are.
        """
        values = ids.tolist() if isinstance(ids, Tensor) else ids
        values = [values] if isinstance(values, int) else list(values)
        return self._full.decode(values, skip_special_tokens=skip_special_tokens)


def _without_added_tokens(raw: dict[str, Any]) -> dict[str, Any]:
    """Copy tokenizer.json so that no id of an added token is left for the model to produce.

    Dropping the list would do, were it not for vocabularies that hold ``/nothink`` as a word too.
    """
    added = {token["content"] for token in raw.get("added_tokens", [])}
    model = raw["model"]
    merges = [
        merge
        for merge in model["merges"]
        if (merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)) not in added
    ]
    vocab = {token: token_id for token, token_id in model["vocab"].items() if token not in added}
    # the post-processor may name added tokens, and encode() adds none anyway
    return {
        **raw,
        "added_tokens": [],
        "post_processor": None,
        "model": {**model, "vocab": vocab, "merges": merges},
    }
