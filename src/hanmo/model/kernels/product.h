// Products with weights kept in few bits, W x for several x at once; every x is summed in the same order whatever stands beside it.
//
// A matrix [rows][columns] is held in tiles of 16 rows, one a lane; columns are cut into groups of 32 that share a scale.
//   8 bits: w = scale (code - 128)          4 bits: w = scale (code - 8), or scale code + least
//   16 bits: bf16, no groups
// x is cut the same way: x = scale code, code in -127 ... 127. A group is then an exact integer sum, times two scales.
#pragma once
#include <algorithm>

#include "turns.h"
#include "vectors.h"

constexpr int GROUP = 32, ROWS_AT_ONCE = 8;

enum Bits : Size { FOUR = 4, FOUR_WITH_LEAST = 5, EIGHT = 8, SIXTEEN = 16 };

struct Matrix {
  const uint8_t* codes;
  const uint16_t* scales;  // fp16 [tile][group][16]
  const uint16_t* leasts;  // the same, or null
  const float* bias;       // [rows] or null
  Size rows, columns, bits;
  Size tiles() const { return (rows + LANES - 1) / LANES; }
  Size groups() const { return columns / GROUP; }
  Size tile_bytes() const { return columns * LANES * (bits == FOUR_WITH_LEAST ? 4 : bits) / 8; }
};

// A group of the vectors on the other side.
struct Group {
  int8_t codes[GROUP];
  float scale;
  int32_t offset;  // what the unsigned codes of the weights count too much: - zero sum(codes)
  float total;     // scale sum(codes)
  int32_t unused;
};

// Vectors of `columns` numbers, as groups or as bf16.
struct Codes {
  void* data;
  Size columns;
  Size groups() const { return columns / GROUP; }
  Group* group(Size vector) const { return (Group*)data + vector * groups(); }
  bf16* halves(Size vector) const { return (bf16*)data + vector * columns; }
  static Size bytes(Size vectors, Size columns) { return vectors * (columns / GROUP + 1) * Size(sizeof(Group) + GROUP * sizeof(bf16)); }
};

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

static inline Words load_words(const uint8_t* p) {
  Words x;
  memcpy(&x, p, sizeof x);
  return x;
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

// What comes next is asked of the main memory while this is computed: each pass over a tile fetches a slice of the following one,
// so that reading and computing go on at the same time. (A core's own foresight ends where the same tile is read a second time.)
// A tile that is read once is left to that foresight, but for its first bytes: more only gets in its way (docs/log.md has the figures).
constexpr Size LINE = 64, MOST_SLICES = 4, FIRST = 12 << 10;

struct Ahead {
  const uint8_t* from;
  Size each;  // bytes for every group of columns
  void fetch(Size group) const {
    for (Size b = 0; b < each; b += LINE) __builtin_prefetch(from + group * each + b, 0, 2);
  }
};

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

// The same for bf16: pairs of columns, no scales.
template <int N>
static inline void tile_product_bf16(const Matrix& m, Size tile, const Codes& x, Size start, const Ahead& ahead, Floats* y) {
  const uint8_t* codes = m.codes + tile * m.columns * 2 * LANES;
  const bf16* from = x.halves(start);
  Floats total[N] = {};
  for (Size k = 0; k < m.columns; k += 2) {
    if (k % GROUP == 0) ahead.fetch(k / GROUP);
    const Words w = load_words(codes + k * 2 * LANES);
#pragma GCC unroll 16
    for (int n = 0; n < N; n++) {
      uint32_t pair;
      memcpy(&pair, from + n * m.columns + k, 4);
#ifdef __AVX512BF16__
      total[n] = (Floats)_mm512_dpbf16_ps((__m512)total[n], (__m512bh)w, (__m512bh)_mm512_set1_epi32(int(pair)));
#else
      total[n] += (Floats)(w & 0xffff0000u) * widen(bf16(pair >> 16));
      total[n] += (Floats)(w << 16) * widen(bf16(pair));
#endif
    }
  }
  for (int n = 0; n < N; n++) y[n] = total[n];
}

template <int N>
static inline void one_tile(const Matrix& m, Size tile, const Codes& x, Size start, const Ahead& ahead, Floats* y) {
  switch (m.bits) {
    case FOUR: tile_product<FOUR, N>(m, tile, x, start, ahead, y); break;
    case FOUR_WITH_LEAST: tile_product<FOUR_WITH_LEAST, N>(m, tile, x, start, ahead, y); break;
    case EIGHT: tile_product<EIGHT, N>(m, tile, x, start, ahead, y); break;
    default: tile_product_bf16<N>(m, tile, x, start, ahead, y);
  }
  if (m.bias) {
    const Floats bias = load_some(m.bias + tile * LANES, m.rows - tile * LANES < LANES ? m.rows - tile * LANES : LANES);
    for (int n = 0; n < N; n++) y[n] += bias;
  }
}

// N vectors from `start` on, then as many of the rest at once as there are (a tile is read once for all of them).
template <int N, class Emit>
static inline void several(const Matrix& m, Size tile, const Codes& x, Size start, Size count, const Ahead& ahead, Emit emit) {
  if (count - start < N) {
    if constexpr (N > 1) several<N - 1>(m, tile, x, start, count, ahead, emit);
    return;
  }
  Floats y[N];
  one_tile<N>(m, tile, x, start, ahead, y);
  for (int n = 0; n < N; n++) emit(tile, start + n, y[n]);
}

// A tile of some matrix that is wanted next, or none.
struct Wanted {
  const Matrix* matrix;
  Size tile;
};

// What a pass over a tile of m fetches of the next one, while it goes through the groups. The last passes fetch.
static inline Ahead ahead_of(const Matrix& m, Size tile, const Wanted& next, Size pass, Size passes, Size count) {
  const Size slices = std::min(passes, MOST_SLICES), slice = pass - (passes - slices), groups = m.groups();
  if (!next.matrix || slice < 0) return {nullptr, 0};
  const Size whole = next.matrix->tile_bytes(), bytes = count > 1 ? whole : std::min(whole, FIRST);
  if (bytes < whole && next.matrix == &m && next.tile == tile + 1) return {nullptr, 0};
  const Size each = (bytes + groups * slices - 1) / (groups * slices);
  return {next.matrix->codes + next.tile * whole + slice * groups * each, each};
}

// emit(tile, vector, 16 numbers) for the tiles [from, to) and all vectors; `after` is what is wanted when these are done.
template <class Emit>
static inline void product(const Matrix& m, Size from, Size to, const Codes& x, Size count, Emit emit, Wanted after = {}) {
  const Size passes = (count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  for (Size tile = from; tile < to; tile++) {
    const Wanted next = tile + 1 < to ? Wanted{&m, tile + 1} : after;
    for (Size pass = 0; pass < passes; pass++)
      several<ROWS_AT_ONCE>(m, tile, x, pass * ROWS_AT_ONCE, count, ahead_of(m, tile, next, pass, passes, count), emit);
  }
}

// How threads share out the first `tiles` of a matrix.
static inline Turns turns_of(const Matrix& m, Size tiles, Size threads) {
  constexpr Size LITTLE = 256 << 10;  // bytes
  return {tiles, threads, LITTLE / m.tile_bytes() + 1};
}

// The whole product, by all threads.
template <class Emit>
static inline void shared_product(const Matrix& m, const Codes& x, Size count, Size thread, Size threads, Size& taken, Emit emit,
                                  Wanted after = {}) {
  in_turns(turns_of(m, m.tiles(), threads), thread, taken, [&](Size from, Size to, Size next) {
    product(m, from, to, x, count, emit, next < 0 ? after : Wanted{&m, next});
  });
}

// x [columns] as vector `at`, in the form that a matrix of `bits` is multiplied with.
static inline void encode(const float* x, Size bits, const Codes& y, Size at) {
  if (bits == SIXTEEN) {
    for (Size j = 0; j < y.columns; j += LANES) store(y.halves(at) + j, load(x + j));
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
