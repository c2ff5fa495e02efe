"""The door: what it offers, and that listing it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netvigil import parts
from netvigil.plugins import load_plugins
from netvigil_tabular import plugin
from netvigil_tabular.classifiers.table import CLASSIFIERS

LOADED = load_plugins(entry_points=False, extra=[plugin])


def test_every_line_of_the_table_is_a_classifier():
    found = {r.part.name: r.part for r in LOADED.of(parts.Classifier)}
    assert set(found) == {kind.name for kind in CLASSIFIERS}
    assert not LOADED.failures
    for kind in CLASSIFIERS:
        assert found[kind.name].trusted_types == kind.trusted_types
        assert found[kind.name].seeded == kind.seeded


@pytest.mark.parametrize("kind", [parts.Classifier, parts.Encoder, parts.FlowTransform])
def test_every_setting_is_described(kind):
    for registered in LOADED.of(kind):
        for name, field in registered.part.config.model_fields.items():
            assert field.description, f"{registered.part.name}.{name}"


def test_listing_parts_loads_no_torch_and_no_scikit_learn():
    code = (
        "import sys; from netvigil_tabular import plugin; "
        "list(plugin.netvigil_classifiers()); list(plugin.netvigil_flow_transforms()); "
        "list(plugin.netvigil_encoders()); "
        "print(sorted({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_netvigil_encoders():
    found = {part.name: part for part in plugin.netvigil_encoders()}
    assert list(found) == ["autoencoder", "vae"]
    for part in found.values():
        assert part.emits == {"terms", "embedding"}
        assert part.accepts == ("flows-only", "flow-host")


@pytest.mark.parametrize("part", list(plugin.netvigil_encoders()), ids=lambda part: part.name)
def test_presets_are_settings_of_their_encoder(part):
    assert part.presets
    for preset in part.presets.values():
        assert set(preset) == {"encoder"}
        part.config.model_validate(preset["encoder"])
    for space in part.spaces.values():
        for key, values in space.items():
            for value in values:
                part.config.model_validate({key.removeprefix("encoder."): value})
