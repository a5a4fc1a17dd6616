"""The types of image-text-to-text models that this folder has no tiny model of, and why: here, none."""

from __future__ import annotations

UNBUILT: dict[str, str] = {}
