"""Texts are as wide as their font says, and are shortened and broken to fit."""

from __future__ import annotations

import io

import pytest
from PIL import ImageFont

from training.materials import Materials
from training.screens.typography import ELLIPSIS, Face, face, unpack_woff


@pytest.fixture
def roboto(materials: Materials) -> Face:
    return face(materials.families["roboto"].regular, 14)


def test_an_unpacked_font_measures_as_the_packed_one(materials: Materials) -> None:
    packed = materials.families["lato"].regular
    unpacked = ImageFont.truetype(io.BytesIO(unpack_woff(packed.read_bytes())), 200)
    assert unpacked.getname() == ImageFont.truetype(packed, 200).getname()
    assert unpacked.getlength("Save") == ImageFont.truetype(packed, 200).getlength("Save")


def test_widths_agree_with_the_font_at_a_large_size(materials: Materials) -> None:
    path = materials.families["inter"].regular
    large = ImageFont.truetype(path, 1000, layout_engine=ImageFont.Layout.BASIC)
    expected = large.getlength("Sphinx of quartz") * 13 / 1000
    assert face(path, 13).width("Sphinx of quartz") == pytest.approx(expected, rel=1e-3)


def test_a_fitting_text_stays_and_a_longer_one_ends_in_an_ellipsis(roboto: Face) -> None:
    width = roboto.width("Save changes")
    assert roboto.fit("Save changes", width) == "Save changes"
    shortened = roboto.fit("Save changes", width - 1)
    assert shortened.endswith(ELLIPSIS)
    assert "Save changes".startswith(shortened[:-1])
    assert roboto.width(shortened) <= width - 1


def test_lines_keep_all_words_and_the_width(roboto: Face) -> None:
    text = "two items were left in your cart yesterday"
    lines = roboto.wrap(text, 90)
    assert " ".join(lines) == text
    assert all(roboto.width(line) <= 90 for line in lines)


def test_all_printed_characters_have_ink_in_all_families(materials: Materials) -> None:
    printed = "".join(map(chr, range(33, 127))) + "…›‹«»·•€£"
    for family in [*materials.families.values(), *materials.held_out_families.values()]:
        for path in (family.regular, family.medium, family.bold):
            opened = face(path, 12)
            without = [c for c in printed if opened.glyph(c).mask is None]
            assert not without, (family.name, without)
