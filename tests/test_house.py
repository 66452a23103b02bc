"""What docs/architecture.md says of the house is true of the house."""

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
PACKAGE = HOUSE / "jessyfile"
ROWS = re.findall(
    r"^\| `([a-z_.]+)` \| ([\d,]+) \| .+ \|$", (HOUSE / "docs" / "architecture.md").read_text("utf-8"), re.M
)


def lines(path: Path) -> int:
    return sum(file.read_text("utf-8").count("\n") for file in ([path] if path.is_file() else path.rglob("*.py")))


@pytest.mark.parametrize(("name", "budget"), ROWS)
def test_a_package_keeps_to_its_budget(name, budget):
    weight = lines(PACKAGE / name) if (PACKAGE / name).is_dir() else lines(PACKAGE / f"{name}.py")
    allowed = int(budget.replace(",", ""))
    assert weight <= allowed, (
        f"{name} weighs {weight} lines: make it smaller, or say in the table why it may weigh more"
    )
    assert weight >= 0.85 * allowed - 10, f"{name} weighs {weight} lines: lower its budget, or it says nothing"


def test_every_package_and_module_at_the_top_has_a_budget():
    top = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    top |= {p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__"}
    assert {name for name, _ in ROWS} == top


def test_the_table_stands_in_the_order_in_which_packages_may_import():
    pyproject = (HOUSE / "pyproject.toml").read_text("utf-8")
    layers = re.findall(r'^  "(jessyfile\..+)",$', pyproject, re.M)
    order = [name.strip().removeprefix("jessyfile.") for layer in layers for name in layer.split("|")]
    assert [name for name, _ in ROWS if name in order] == order
