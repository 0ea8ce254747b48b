"""``docs/loadtest.md`` explains what there is."""

from pathlib import Path

import msgspec

from mikroroom.loadtest import report
from mikroroom.loadtest.plan import SCENARIOS
from mikroroom.loadtest.score import Failure

DOCUMENT = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text("utf-8")


def test_every_key_of_the_json_is_explained() -> None:
    structs = (report.Report, report.KindReport, report.Spread, report.StormReport, report.Tester)
    keys = {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}
    assert {key for key in (*keys, *Failure) if f"`{key}`" not in DOCUMENT} == set()


def test_every_kind_of_load_is_explained() -> None:
    assert {name for name in SCENARIOS if f"| `{name}` |" not in DOCUMENT} == set()
