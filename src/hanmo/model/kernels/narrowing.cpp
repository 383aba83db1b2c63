// bf16 in 12 bits, not a bit lost: weights become what halves.h calls Narrow.
#include <atomic>

#include "halves.h"

constexpr uint16_t EXPONENT = 0x7f80, REST = 0x807f, ZERO = 15;

// Four pairs of columns of a tile in the order of the lanes; rows that are not there are zeros.
struct Gathered {
  uint32_t pairs[Narrow::PAIRS][LANES] = {};
  Gathered(const bf16* w, Size lanes, Size columns) {
    for (Size lane = 0; lane < lanes; lane++) {
      uint32_t row[Narrow::PAIRS];
      memcpy(row, w + lane * columns, sizeof row);
      for (Size pair = 0; pair < Narrow::PAIRS; pair++) pairs[pair][lane] = row[pair];
    }
  }
  Shorts pair(Size i) const { return load_shorts((const uint16_t*)pairs[i]); }
  // Into `to`, unless exponents differ too much; gives the highest.
  uint16_t narrow(Narrow& to) const {
    Shorts high = {}, lost = {}, below = {}, rest[Narrow::PAIRS];
    for (Size i = 0; i < Narrow::PAIRS; i++) high = (pair(i) & EXPONENT) > high ? pair(i) & EXPONENT : high;
    uint16_t highest = 0;
    for (Size i = 0; i < Narrow::EACH; i++) highest = std::max(highest, uint16_t(high[i]));
    for (Size i = 0; i < Narrow::PAIRS; i++) {
      const Shorts one = pair(i), steps = (highest - (one & EXPONENT)) >> 7, zero = (Shorts)((one & 0x7fff) == 0);
      rest[i] = one & REST;
      lost |= (Shorts)(steps >= ZERO) & ~zero;
      below |= (zero ? ZERO - (Shorts){} : steps) << 4 * i;
    }
    for (Size i = 0; i < Narrow::EACH; i++)
      if (lost[i]) return Narrow::WHOLE;
    for (Size i = 0; i < 2; i++) {
      const Shorts two = rest[2 * i] | bytes_swapped(rest[2 * i + 1]);
      memcpy(to.rest[i], &two, sizeof two);
    }
    memcpy(to.below, &below, sizeof below);
    return highest;
  }
};

// weight [rows][columns] to parts [tile][columns / 8], their highest exponents, and up to `most` parts that are kept whole;
// `count` of them there are, or would be.
EXPORT void narrow_exponents(
    Size threads, const bf16* weight, Size rows, Size columns, Narrow* parts, uint16_t* highest, bf16* whole, Size most, Size* count) {
  constexpr Size WIDE = 2 * Narrow::PAIRS;
  const Size each = columns / WIDE, tiles = (rows + LANES - 1) / LANES;
  std::atomic<Size> taken{0};
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size tile = 0; tile < tiles; tile++)
    for (Size part = 0; part < each && taken <= most; part++) {
      const Size at = tile * each + part;
      const Gathered gathered(weight + tile * LANES * columns + part * WIDE, std::min<Size>(LANES, rows - tile * LANES), columns);
      highest[at] = gathered.narrow(parts[at]);
      if (highest[at] != Narrow::WHOLE) continue;
      const Size place = taken++;
      if (place >= most) continue;
      const uint32_t number = uint32_t(place);
      memset(&parts[at], 0, sizeof(Narrow));
      memcpy(parts[at].below, &number, sizeof number);
      memcpy(whole + place * Narrow::PAIRS * Narrow::EACH, gathered.pairs, sizeof gathered.pairs);
    }
  *count = taken;
}
