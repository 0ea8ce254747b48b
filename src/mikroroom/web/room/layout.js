/** How tiles fill a space. Pure arithmetic. */

/** The widest and the tallest shape of a tile, as width over height. */
const WIDEST = 16 / 9;
const TALLEST = 3 / 4;

/**
 * The size of each of `count` equal tiles, in pixels, so that together they cover as much as can be.
 *
 * @param {number} count @param {number} width @param {number} height @param {number} gap between two tiles
 * @returns {{width: number, height: number, columns: number}}
 */
export function tileSize(count, width, height, gap) {
  let best = { width: 0, height: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cell = { width: (width - gap * (columns - 1)) / columns, height: (height - gap * (rows - 1)) / rows };
    const tile = {
      width: Math.floor(Math.min(cell.width, cell.height * WIDEST)),
      height: Math.floor(Math.min(cell.height, cell.width / TALLEST)),
      columns,
    };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}
