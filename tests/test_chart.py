"""Charts are complete documents, and tell in words what they show."""

from xml.etree import ElementTree

import pytest

from mikroroom import chart

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def numbers(document: ElementTree.Element, kind: str, attribute: str) -> list[float]:
    return [float(e.attrib[attribute]) for e in document.iter(f"{SVG}rect") if e.get("class") == kind]


def test_bars_are_as_long_as_their_values() -> None:
    document = parsed(chart.bars("Relays", [("ours", 90_000.0), ("theirs", 30_000.0)], "/s"))
    longer, shorter = numbers(document, "bar", "width")
    assert longer == pytest.approx(3 * shorter, rel=0.01)


def test_a_chart_tells_its_title_and_every_figure_in_words() -> None:
    document = parsed(chart.bars("Relays", [("ours", 90_000.0), ("theirs", 0.412)], "/s"))
    assert document.get("role") == "img"
    named = [document.find(f"{SVG}{kind}") for kind in ("title", "desc")]
    assert [element is not None and element.text for element in named] == [
        "Relays",
        "Relays: ours 90,000 /s, theirs 0.412 /s.",
    ]
    labelled = (document.get("aria-labelledby") or "").split()
    assert labelled == [element.get("id") for element in named if element is not None]


def test_whatever_is_in_a_label_stays_text() -> None:
    document = parsed(chart.bars("a < b & c", [('<script>"&', 1.0)], "<b>"))
    assert {element.tag.removeprefix(SVG) for element in document.iter()} == {
        *("svg", "title", "desc", "style", "rect", "g", "text", "path"),
    }


def test_there_are_colours_for_light_and_for_dark() -> None:
    assert chart.bars("x", [("a", 1.0)], "").count("prefers-color-scheme: dark") == 1


@pytest.mark.parametrize("rows", [[], [("a", 0.0)], [("a", 0.0), ("a label as long as the page " * 5, 1e12)]])
def test_any_rows_make_a_chart_that_keeps_to_its_page(rows: list[tuple[str, float]]) -> None:
    document = parsed(chart.bars("x", rows, "per second"))
    for element in document.iter(f"{SVG}rect"):
        assert 0 <= float(element.get("x", 0)) <= chart.WIDTH
        assert float(element.get("x", 0)) + float(element.attrib["width"]) <= chart.WIDTH


def test_a_spread_has_a_mark_for_each_figure_in_their_order() -> None:
    rows = [("offer", (0.4, 1.0, 3.0, 41.0))]
    document = parsed(chart.page([chart.spread_panel("Latency", ("p50", "p90", "p99", "max"), rows, "ms")]))
    marks = [e for e in document.iter() if (e.get("class") or "").startswith("mark")]
    assert len(marks) == 4 + 4  # the legend's and the row's
    description = document.find(f"{SVG}desc")
    assert description is not None
    assert description.text == "Latency: offer p50 0.4 ms, p90 1 ms, p99 3 ms, max 41 ms."


@pytest.mark.parametrize("spread", [(0.0, 0.0), (1.0, 1.0), (1e-6, 1e9)])
def test_any_spread_makes_a_chart(spread: tuple[float, float]) -> None:
    panel = chart.spread_panel("x", ("low", "high"), [("a", spread)], "ms")
    assert parsed(chart.page([panel])).get("width") == "800"
    parsed(chart.page([chart.spread_panel("x", ("low", "high"), [], "ms"), panel]))


def test_panels_stand_one_below_the_other() -> None:
    panels = [chart.bar_panel(title, [("a", 1.0)], "") for title in ("one", "two")]
    document = parsed(chart.page(panels))
    assert [group.get("transform") for group in document.iter(f"{SVG}g")] == [
        "translate(0 0)",
        f"translate(0 {panels[0].height})",
    ]
    assert float(document.attrib["height"]) >= sum(panel.height for panel in panels)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.4123, "0.412"), (38.46, "38.5"), (100, "100"), (95_600.4, "95,600")]
)
def test_figures_are_shown_with_the_digits_that_mean_something(value: float, text: str) -> None:
    assert chart.shown(value) == text
