from __future__ import annotations

import subprocess
import sys

import pytest

from netvigil import parts
from netvigil_cggm import plugin
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.generator import Cggm


def test_the_door_imports_nothing_heavy():
    heavy = ("torch", "sklearn", "pandas", "scipy", "safetensors")
    code = (
        "import sys; import netvigil_cggm.plugin as p; "
        "list(p.netvigil_generators()), list(p.netvigil_benchmarks()); "
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_netvigil_generators():
    (part,) = plugin.netvigil_generators()
    assert isinstance(part, parts.Generator)
    assert part.name == "cggm"
    assert isinstance(part.make(part.config(device="cpu")), Cggm)


def test_every_setting_is_described():
    assert all(field.description for field in CggmConfig.model_fields.values())


@pytest.mark.parametrize("part", list(plugin.netvigil_benchmarks()), ids=lambda part: part.name)
def test_netvigil_benchmarks(part):
    benchmark = part.make(part.config())
    assert benchmark.run(benchmark.setup(300, seed=0)) > 100
