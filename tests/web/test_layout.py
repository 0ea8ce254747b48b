"""The arithmetic of the grid, asked of the module itself."""

from playwright.async_api import Page
from tests.site_process import Site

from .guests import Guests

SPACES = [(1264, 588), (924, 588), (374, 640), (828, 240), (2544, 1280)]
GAP = 8
SIZES = """async ([spaces, gap]) => {
  const { tileSize } = await import("/web/room/layout.js");
  return spaces.map(([width, height]) =>
    Array.from({ length: 12 }, (_, index) => tileSize(index + 1, width, height, gap)));
}"""


async def test_one_to_twelve_tiles_fill_any_space_and_stay_in_it(site: Site, guest: Guests) -> None:
    page: Page = await guest(site)
    for (width, height), tiles in zip(SPACES, await page.evaluate(SIZES, [SPACES, GAP]), strict=True):
        for count, tile in enumerate(tiles, start=1):
            columns, rows = tile["columns"], -(-count // tile["columns"])
            what = f"{count} tiles of {tile} in {width} by {height}"
            assert columns * tile["width"] + (columns - 1) * GAP <= width, what
            assert rows * tile["height"] + (rows - 1) * GAP <= height, what
            assert 0.74 <= tile["width"] / tile["height"] <= 1.79, what
            assert count * tile["width"] * tile["height"] >= 0.5 * width * height, what
