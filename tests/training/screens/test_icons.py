"""Every icon font shows every concept, with ink, and with a glyph that means nothing else."""

from __future__ import annotations

from training.materials import IconFont, Materials
from training.screens.icons import CONCEPTS, glyphs_of
from training.screens.typography import face

NOT_A_GLYPH = "\U000ffff0"


def fonts(materials: Materials) -> list[IconFont]:
    return [*materials.icon_fonts.values(), *materials.held_out_icon_fonts.values()]


def test_every_font_draws_every_concept(materials: Materials) -> None:
    for font in fonts(materials):
        assert set(glyphs_of(font)) == set(CONCEPTS), font.name


def test_no_glyph_stands_for_two_concepts(materials: Materials) -> None:
    for font in fonts(materials):
        glyphs = [glyph for found in glyphs_of(font).values() for glyph in found]
        assert len(glyphs) == len(set(glyphs)), font.name


def test_every_glyph_is_in_the_font(materials: Materials) -> None:
    for font in fonts(materials):
        opened = face(font.path, 16)
        missing = opened.glyph(NOT_A_GLYPH).mask
        for concept, glyphs in glyphs_of(font).items():
            for glyph in glyphs:
                mask = opened.glyph(glyph).mask
                assert mask is not None, (font.name, concept)
                assert missing is None or mask.tobytes() != missing.tobytes(), (font.name, concept)
