// Where labels go: beside what they name, inside the picture, never on each other.

// Shares of the picture: once labels cover as much, the next ones are short, or wait to be pointed at.
const LONG_LABELS_COVER = 0.12;
const LABELS_COVER = 0.25;
const FEW = 6;

// Returns the area that two boxes share.
function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

function candidates([x0, y0, x1, y1], [width, height], limit) {
  return [
    [x0, y0 - height],
    [x0, y1],
    [x1 - width, y0 - height],
    [x1 - width, y1],
    [x1, y0],
    [x0 - width, y0],
    [x0, y0],
    [x1 - width, y1 - height],
  ].map(([x, y]) => {
    const left = Math.max(0, Math.min(x, limit[0] - width));
    const top = Math.max(0, Math.min(y, limit[1] - height));
    return [left, top, left + width, top + height];
  });
}

// Returns for each item its place and which of its sizes fits there, or null where none does.
// items: [{place: [x0, y0, x1, y1], sizes: [[width, height], ...]}], the longest size first; limit:
// [width, height] of the picture; all in pixels of the screen.
function placeLabels(items, limit) {
  const placed = [];
  const room = limit[0] * limit[1];
  let taken = 0;
  return items.map((item) => {
    for (const [which, size] of item.sizes.entries()) {
      const share = which === item.sizes.length - 1 ? LABELS_COVER : LONG_LABELS_COVER;
      // the first few have their room on any picture, however small
      if (placed.length >= FEW && taken + size[0] * size[1] > share * room) continue;
      let best = null;
      for (const spot of candidates(item.place, size, limit)) {
        if (placed.some((other) => overlap(spot, other))) continue;
        let covered = 0;
        for (const other of items) covered += other === item ? 0 : overlap(spot, other.place);
        if (best === null || covered < best.covered) best = { spot, covered };
        if (covered === 0) break;
      }
      if (best !== null) {
        placed.push(best.spot);
        taken += size[0] * size[1];
        return { x: best.spot[0], y: best.spot[1], which };
      }
    }
    return null;
  });
}
