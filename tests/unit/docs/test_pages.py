"""What the documentation shows is so: manifests are valid, timelines are the simulator's, links lead somewhere."""

import json
import re
from pathlib import Path

import pytest
from support.pages import PAGES, REPOSITORY, Block, manifests, run_weft, simulated, simulations

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def name(value: object) -> str | None:
    if isinstance(value, Path):
        return str(value.relative_to(REPOSITORY))
    return f"line {value.line}" if isinstance(value, Block) else None


@pytest.mark.parametrize(("page", "block"), [(page, block) for page in PAGES for block in manifests(page)], ids=name)
def test_every_manifest_is_valid(page: Path, block: Block, tmp_path: Path) -> None:
    assert all(isinstance(one, dict) and "apiVersion" in one for one in block.documents), "no whole manifest"
    (tmp_path / "block.yaml").write_text(block.text)
    result = run_weft("validate", str(tmp_path / "block.yaml"))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("page", "workflow", "scenario", "shown"),
    [(page, *one) for page in PAGES for one in simulations(page)],
    ids=name,
)
def test_every_scenario_goes_as_shown(page: Path, workflow: Block, scenario: Block, shown: Block | None) -> None:
    assert shown is not None, "a scenario is followed by the timeline it gives"
    assert shown.text == simulated(workflow, scenario)


def test_there_are_simulated_examples() -> None:
    assert sum(1 for page in PAGES for _ in simulations(page)) > 15


def shown_commands() -> set[str]:
    told = [page.read_text() for page in (*PAGES, REPOSITORY / "examples" / "scenarios" / "README.md")]
    return {found for text in told for found in re.findall(r"\bweft (simulate examples/[^`\n]+)", text)}


@pytest.mark.parametrize("command", sorted(shown_commands()))
def test_every_command_that_simulates_an_example_ends_well(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = run_weft(*command.split(), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["outcome"] == "Succeeded"


def slugs(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [one for one in _LINK.findall(_CODE.sub("", page.read_text())) if not one.startswith("http")]
    for target in targets:
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in slugs(file), target


def test_every_page_can_be_reached_from_the_index() -> None:
    index = REPOSITORY / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in _LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.parent != REPOSITORY} - linked - {index} == set()


def test_every_proof_of_the_threat_model_is_there() -> None:
    proofs = re.findall(r"`([a-z0-9_/]+(?:\.py|/))`", (REPOSITORY / "docs" / "threat-model.md").read_text())
    assert len(set(proofs)) > 20
    assert [proof for proof in proofs if not (REPOSITORY / "tests" / proof).exists()] == []
