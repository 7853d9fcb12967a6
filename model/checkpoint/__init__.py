"""Checkpoints: safetensors files on disk or on the hub <-> a model in memory."""

from model.checkpoint.errors import CheckpointError
from model.checkpoint.hub import find_folder
from model.checkpoint.load import load_pretrained
from model.checkpoint.save import save_pretrained

__all__ = ["CheckpointError", "find_folder", "load_pretrained", "save_pretrained"]
