// Images whose planes lie column by column, as MATLAB writes them (SVHN, STL-10), into rows.

/**
 * Transposes every square plane in place: [column][row] becomes [row][column].
 *
 * @param planes - `[n, side, side]`, its length a multiple of side²
 * @returns the same array
 */
export function transposePlanes(planes: Uint8Array, side: number): Uint8Array {
  for (let start = 0; start < planes.length; start += side * side) {
    for (let i = 1; i < side; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [start + i * side + j, start + j * side + i];
        const held = planes[a]!;
        planes[a] = planes[b]!;
        planes[b] = held;
      }
    }
  }
  return planes;
}
