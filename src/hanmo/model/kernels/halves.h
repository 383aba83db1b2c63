// Products with weights in bf16, in 16 bits or in 12; every x is summed in the same order whatever stands beside it.
#pragma once
#include <vector>

#include "matrix.h"

// sums + the two products of bf16, a lane
static inline Floats add_halves(Floats sums, Words w, uint32_t x) {
#ifdef __AVX512BF16__
  return (Floats)_mm512_dpbf16_ps((__m512)sums, (__m512bh)w, (__m512bh)_mm512_set1_epi32(int(x)));
#else
  sums += (Floats)(w & 0xffff0000u) * widen(bf16(x >> 16));
  return sums + (Floats)(w << 16) * widen(bf16(x));
#endif
}

// bf16 in 12 bits: the exponents of neighbouring weights seldom differ much, so each is kept in four bits, as how far it is below the
// highest of 128 (0 to 14; 15 is a zero), beside sign and fraction. Where one differs by more, the 128 are kept whole, elsewhere.
// (Zhang et al. 2025, "70% Size, 100% Accuracy", shorten exponents by a Huffman code instead.)
struct Narrow {
  static constexpr Size PAIRS = 4, EACH = 2 * LANES, WHOLE_BYTES = PAIRS * EACH * sizeof(bf16);  // pairs of columns of 16 rows
  static constexpr uint16_t WHOLE = 0xffff;  // in place of a highest exponent: `below` begins with the place among those kept whole
  uint16_t below[EACH];                      // four bits for each pair
  uint16_t rest[2][EACH];                    // sign (bit 15) and fraction (bits 0 to 6) of two pairs, the second with its bytes swapped
};

typedef uint16_t Shorts __attribute__((vector_size(64)));

static inline Shorts load_shorts(const uint16_t* p) {
  Shorts x;
  memcpy(&x, p, sizeof x);
  return x;
}

static inline Shorts bytes_swapped(Shorts x) {
#ifdef __AVX512BW__
  return (Shorts)_mm512_shuffle_epi8((__m512i)x, _mm512_set4_epi32(0x0e0f0c0d, 0x0a0b0809, 0x06070405, 0x02030001));
#else
  return x << 8 | x >> 8;
#endif
}

// The exponents, in place, of which the lowest four bits of `below` tell.
struct Exponents {
#ifdef __AVX512BW__
  static constexpr Shorts STEPS = {0,     0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0x480, 0x500,
                                   0x580, 0x600, 0x680, 0x700, 0xffff, 0,     0x080, 0x100, 0x180, 0x200, 0x280,
                                   0x300, 0x380, 0x400, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0xffff};
  __m512i table;  // of 32, as four bits and one that does not matter look it up
  explicit Exponents(uint16_t top) : table(_mm512_subs_epu16(_mm512_set1_epi16(int16_t(top)), (__m512i)STEPS)) {}
  Shorts at(Shorts below) const { return (Shorts)_mm512_permutexvar_epi16((__m512i)below, table); }
#else
  Shorts highest;
  explicit Exponents(uint16_t top) : highest(top - (Shorts){}) {}
  Shorts at(Shorts below) const { return (below & 15) == 15 ? (Shorts){} : highest - ((below & 15) << 7); }
#endif
};

// Four pairs of columns as load_words gives them.
struct FourPairs {
  Words at[Narrow::PAIRS];
};

static inline FourPairs four_pairs(const uint8_t* p) {
  return {{load_words(p), load_words(p + 64), load_words(p + 128), load_words(p + 192)}};
}

// Part `part` of all that a matrix is made of.
template <Size BITS>
static inline FourPairs pairs_of(const Matrix& m, Size part) {
  if (BITS == SIXTEEN) return four_pairs(m.codes + part * Narrow::WHOLE_BYTES);
  constexpr uint16_t REST = 0x807f;
  const Narrow& narrow = ((const Narrow*)m.codes)[part];
  if (__builtin_expect(m.scales[part] == Narrow::WHOLE, 0)) {
    uint32_t place;
    memcpy(&place, narrow.below, sizeof place);
    return four_pairs((const uint8_t*)m.leasts + place * Narrow::WHOLE_BYTES);
  }
  const Exponents exponents(m.scales[part]);
  const Shorts below = load_shorts(narrow.below), later = load_shorts((const uint16_t*)((const uint8_t*)narrow.below + 1));  // >> 8
  const Shorts one = load_shorts(narrow.rest[0]), two = load_shorts(narrow.rest[1]);
  return {{(Words)((one & REST) | exponents.at(below)), (Words)((bytes_swapped(one) & REST) | exponents.at(below >> 4)),
           (Words)((two & REST) | exponents.at(later)), (Words)((bytes_swapped(two) & REST) | exponents.at(later >> 4))}};
}

// sums + the products of a pair of columns with those of N vectors.
template <int N>
static inline void add_pair(Words w, const uint32_t* x, Floats* sums) {
#pragma GCC unroll 16
  for (int n = 0; n < N; n++) sums[n] = add_halves(sums[n], w, x[n]);
}

// The same with several pairs, one after another in memory.
template <int N>
static inline void add_pairs_of(const Words* w, Size pairs, const uint32_t* x, Floats* total) {
  Floats sums[N];
  for (int n = 0; n < N; n++) sums[n] = total[n];
  for (Size pair = 0; pair < pairs; pair++, x += N) add_pair<N>(w[pair], x, sums);
  for (int n = 0; n < N; n++) total[n] = sums[n];
}

// The same with the vectors from `start` on, of which the pairs from `first` on are meant.
template <int N>
static inline void add_pairs_to_all(const Words* w, Size pairs, const Codes& x, Size start, Size first, Floats* total) {
  for (; start + N <= x.vectors; start += N) add_pairs_of<N>(w, pairs, x.pairs(start) + first * N, total + start);
  if constexpr (N > 1)
    if (start < x.vectors) add_pairs_to_all<N - 1>(w, pairs, x, start, first, total);
}

// Groups [from, to) of neighbouring tiles of bf16, kept in `kept` too if there is one, times the first N vectors.
template <Size BITS, int N, int TILES = 1>
static inline void halves_of_groups(
    const Matrix& m, Size tile, Size from, Size to, const Codes& x, const Ahead& ahead, Words* kept, Floats* total) {
  constexpr Size PARTS = GROUP / 2 / Narrow::PAIRS;
  const Size each = m.groups() * PARTS, last = tile * each + to * PARTS - 1;
  const uint32_t* pairs = x.pairs(0) + from * GROUP / 2 * N;
  Floats sums[TILES][N];
  FourPairs next[TILES];
  for (int t = 0; t < TILES; t++) {
    for (int n = 0; n < N; n++) sums[t][n] = total[t * N + n];
    next[t] = pairs_of<BITS>(m, (tile + t) * each + from * PARTS);
  }
  for (Size g = from, part = tile * each + from * PARTS; g < to; g++) {
    ahead.fetch(g);
#pragma GCC unroll 4
    for (Size i = 0; i < PARTS; i++, part++) {
      FourPairs four[TILES];  // while these are multiplied, the following are widened
#pragma GCC unroll 4
      for (int t = 0; t < TILES; t++) {
        four[t] = next[t];
        next[t] = pairs_of<BITS>(m, std::min(part + 1, last) + t * each);
      }
      if (kept) memcpy(kept + ((g - from) * PARTS + i) * Narrow::PAIRS, four, sizeof four);
#pragma GCC unroll 4
      for (Size pair = 0; pair < Narrow::PAIRS; pair++, pairs += N)
#pragma GCC unroll 4
        for (int t = 0; t < TILES; t++) add_pair<N>(four[t].at[pair], pairs, sums[t]);
    }
  }
  for (int t = 0; t < TILES; t++)
    for (int n = 0; n < N; n++) total[t * N + n] = sums[t][n];
}

// A tile times all vectors. With no more than N all groups at once, else a few, from the cache for all but the first N vectors.
template <Size BITS, int N>
static inline void halves_of_tile(const Matrix& m, Size tile, const Codes& x, const Ahead& ahead, Floats* total) {
  constexpr Size TOGETHER = 8, EACH = GROUP / 2;
  if (x.vectors < N) {
    if constexpr (N > 1) halves_of_tile<BITS, N - 1>(m, tile, x, ahead, total);
    return;
  }
  if (x.vectors == N) return halves_of_groups<BITS, N>(m, tile, 0, m.groups(), x, ahead, nullptr, total);
  for (Size g = 0, to; g < m.groups(); g = to) {
    to = std::min(g + TOGETHER, m.groups());
    Words kept[TOGETHER * EACH];
    halves_of_groups<BITS, N>(m, tile, g, to, x, ahead, kept, total);
    add_pairs_to_all<N>(kept, (to - g) * EACH, x, N, g * EACH, total);
  }
}

// As `product` in product.h.
template <Size BITS, class Emit>
static inline void product_of_halves(const Matrix& m, Size from, Size to, const Codes& x, Emit emit, Wanted after) {
  constexpr Size TILES = 2, LONG = 32 << 10;  // long tiles at once for a single vector, so that a sum need not wait for the one before
  std::vector<Floats> total(std::max(x.vectors, TILES));
  for (Size tile = from, tiles; tile < to; tile += tiles) {
    tiles = x.vectors == 1 && m.tile_bytes() >= LONG && tile + TILES <= to ? TILES : 1;
    const Ahead ahead = ahead_of(m, tile + tiles - 1, tile + tiles < to ? Wanted{&m, tile + tiles} : after, 0, 1, x.vectors);
    std::fill(total.begin(), total.end(), Floats{});
    if (tiles == TILES) halves_of_groups<BITS, 1, TILES>(m, tile, 0, m.groups(), x, ahead, nullptr, total.data());
    else halves_of_tile<BITS, ROWS_AT_ONCE>(m, tile, x, ahead, total.data());
    for (Size t = 0; t < tiles; t++) {
      const Size first = (tile + t) * LANES;
      const Floats bias = m.bias ? load_some(m.bias + first, std::min<Size>(m.rows - first, LANES)) : Floats{};
      for (Size n = 0; n < x.vectors; n++) emit(tile + t, n, total[t * x.vectors + n] + bias);
    }
  }
}
