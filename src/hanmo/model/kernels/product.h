// Products with weights kept in few bits, W x for several x at once; every x is summed in the same order whatever stands beside it.
// A group of codes times a group of codes is an exact integer sum, times two scales; bf16 has products of its own (halves.h).
#pragma once
#include "halves.h"
#include "guided_schedule.h"

static inline Floats from_fp16(const uint16_t* p) {
#ifdef __AVX512F__
  return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
#else
  Floats y;
  for (int i = 0; i < LANES; i++) {
    const uint32_t h = p[i], exponent = h >> 10 & 31, fraction = h & 1023;
    y[i] = std::ldexp(float(exponent ? fraction + 1024 : fraction), int(exponent ? exponent : 1) - 25) * (h >> 15 ? -1 : 1);
  }
  return y;
#endif
}

static inline Integers same(int32_t x) { return x - (Integers){}; }

// sums + the four products of unsigned bytes of `w` with signed bytes of `x`, a lane
static inline Integers add_products(Integers sums, Words w, int32_t x) {
#ifdef __AVX512VNNI__
  return (Integers)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)w, _mm512_set1_epi32(x));
#else
  for (int i = 0; i < 4; i++) sums += (Integers)(w >> (8 * i) & 255) * int32_t(int8_t(x >> (8 * i)));
  return sums;
#endif
}

// Eight vectors of codes: those of a group, four columns in the four bytes of a lane.
template <Size BITS>
static inline void unpack(const uint8_t* from, Words* codes) {
  if (BITS == EIGHT) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) codes[j] = load_words(from + 64 * j);
  } else {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const Words pair = load_words(from + 64 * j);
      codes[2 * j] = pair & 0x0f0f0f0f;
      codes[2 * j + 1] = pair >> 4 & 0x0f0f0f0f;
    }
  }
}

static constexpr Size zero_of(Size bits) { return bits == EIGHT ? 128 : bits == FOUR ? 8 : 0; }

// 16 rows (one tile) times N vectors from `start` on.
template <Size BITS, int N>
static inline void tile_product(const Matrix& m, Size tile, const Codes& x, Size start, const Ahead& ahead, Floats* y) {
  constexpr Size BYTES = BITS == EIGHT ? 512 : 256;
  const Size groups = m.groups();
  const uint8_t* codes = m.codes + tile * groups * BYTES;
  const uint16_t *scales = m.scales + tile * groups * LANES, *leasts = m.leasts + tile * groups * LANES;
  const Group* from = x.group(start);
  Floats total[N] = {};
  for (Size g = 0; g < groups; g++, from++) {
    ahead.fetch(g);
    Words w[8];
    unpack<BITS>(codes + g * BYTES, w);
    Integers sums[N];
#pragma GCC unroll 16
    for (int n = 0; n < N; n++) sums[n] = same(from[n * groups].offset);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
#pragma GCC unroll 16
      for (int n = 0; n < N; n++) {
        int32_t four;
        memcpy(&four, from[n * groups].codes + 4 * j, 4);
        sums[n] = add_products(sums[n], w[j], four);
      }
    const Floats scale = from_fp16(scales + g * LANES);
    Floats least = {};
    if (BITS == FOUR_WITH_LEAST) least = from_fp16(leasts + g * LANES);
#pragma GCC unroll 16
    for (int n = 0; n < N; n++) {
      total[n] += __builtin_convertvector(sums[n], Floats) * (scale * from[n * groups].scale);
      if (BITS == FOUR_WITH_LEAST) total[n] += least * from[n * groups].total;
    }
  }
  for (int n = 0; n < N; n++) y[n] = total[n];
}

template <int N>
static inline void one_tile(const Matrix& m, Size tile, const Codes& x, Size start, const Ahead& ahead, Floats* y) {
  switch (m.bits) {
    case FOUR: tile_product<FOUR, N>(m, tile, x, start, ahead, y); break;
    case FOUR_WITH_LEAST: tile_product<FOUR_WITH_LEAST, N>(m, tile, x, start, ahead, y); break;
    default: tile_product<EIGHT, N>(m, tile, x, start, ahead, y);
  }
  if (m.bias) {
    const Floats bias = load_some(m.bias + tile * LANES, m.rows - tile * LANES < LANES ? m.rows - tile * LANES : LANES);
    for (int n = 0; n < N; n++) y[n] += bias;
  }
}

// N vectors from `start` on, then as many of the rest at once as there are (a tile is read once for all of them).
template <int N, class Emit>
static inline void several(const Matrix& m, Size tile, const Codes& x, Size start, const Ahead& ahead, Emit emit) {
  if (x.vectors - start < N) {
    if constexpr (N > 1) several<N - 1>(m, tile, x, start, ahead, emit);
    return;
  }
  Floats y[N];
  one_tile<N>(m, tile, x, start, ahead, y);
  for (int n = 0; n < N; n++) emit(tile, start + n, y[n]);
}

// emit(tile, vector, 16 numbers) for the tiles [from, to) and all vectors; `after` is what is wanted when these are done.
template <class Emit>
static inline void product(const Matrix& m, Size from, Size to, const Codes& x, Emit emit, Wanted after = {}) {
  if (m.bits == TWELVE) return product_of_halves<TWELVE>(m, from, to, x, emit, after);
  if (m.bits == SIXTEEN) return product_of_halves<SIXTEEN>(m, from, to, x, emit, after);
  const Size passes = (x.vectors + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  for (Size tile = from; tile < to; tile++) {
    const Wanted next = tile + 1 < to ? Wanted{&m, tile + 1} : after;
    for (Size pass = 0; pass < passes; pass++)
      several<ROWS_AT_ONCE>(m, tile, x, pass * ROWS_AT_ONCE, ahead_of(m, tile, next, pass, passes, x.vectors), emit);
  }
}

// How threads share out the first `tiles` of a matrix.
static inline GuidedSchedule schedule_of(const Matrix& m, Size tiles, Size threads) {
  constexpr Size LITTLE = 256 << 10;  // bytes
  return {tiles, threads, LITTLE / m.tile_bytes() + 1};
}

// The whole product, by all threads.
template <class Emit>
static inline void shared_product(const Matrix& m, const Codes& x, Size thread, Size threads, Size& taken, Emit emit, Wanted after = {}) {
  by_guided_schedule(schedule_of(m, m.tiles(), threads), thread, taken, [&](Size from, Size to, Size next) {
    product(m, from, to, x, emit, next < 0 ? after : Wanted{&m, next});
  });
}

// x [columns] as vector `at`, in the form that a matrix of `bits` is multiplied with.
static inline void encode(const float* x, Size bits, const Codes& y, Size at) {
  if (bits >= TWELVE) {
    const Size first = at / ROWS_AT_ONCE * ROWS_AT_ONCE, width = std::min<Size>(ROWS_AT_ONCE, y.vectors - first);
    uint32_t* to = y.pairs(first) + at - first;
    for (Size j = 0; j < y.columns; j += LANES) {
      uint32_t pairs[LANES / 2];
      const Halves narrowed = narrow(load(x + j));
      memcpy(pairs, &narrowed, sizeof pairs);
      for (int i = 0; i < LANES / 2; i++, to += width) *to = pairs[i];
    }
    return;
  }
  typedef int8_t Bytes __attribute__((vector_size(16)));
  constexpr float NEAREST = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, ties to even
  Group* to = y.group(at);
  for (Size g = 0; g < y.groups(); g++, to++, x += GROUP) {
    const Floats left = load(x), right = load(x + LANES);
    const float most = largest(larger(larger(left, -left), larger(right, -right)));
    const float inverse = most > 0 ? 127 / most : 0;
    const Floats a = (left * inverse + NEAREST) - NEAREST, b = (right * inverse + NEAREST) - NEAREST;
    const Bytes first = __builtin_convertvector(__builtin_convertvector(a, Integers), Bytes);
    const Bytes second = __builtin_convertvector(__builtin_convertvector(b, Integers), Bytes);
    memcpy(to->codes, &first, 16);
    memcpy(to->codes + 16, &second, 16);
    const float codes = sum(a + b);
    to->scale = most / 127;
    to->offset = -int32_t(zero_of(bits)) * int32_t(codes);
    to->total = to->scale * codes;
  }
}
