// A matrix in few bits, the vectors that it is multiplied with, and what of it is asked of the main memory beforehand.
//
// A matrix [rows][columns] is held in tiles of 16 rows, one a lane; columns are cut into groups of 32 that share a scale.
//   8 bits: w = scale (code - 128)          4 bits: w = scale (code - 8), or scale code + least
//   16 bits: bf16, no scales                12 bits: bf16 again, not a bit lost (halves.h)
// x is cut the same way: x = scale code, code in -127 ... 127; beside bf16 it is bf16.
#pragma once
#include <algorithm>

#include "vectors.h"

constexpr int GROUP = 32, ROWS_AT_ONCE = 8;

enum Bits : Size { FOUR = 4, FOUR_WITH_LEAST = 5, EIGHT = 8, TWELVE = 12, SIXTEEN = 16 };

struct Matrix {
  const uint8_t* codes;
  const uint16_t* scales;  // fp16 [tile][group][16]; of 12 bits highest exponents [tile][128 of them]
  const uint16_t* leasts;  // fp16 [tile][group][16], or null; of 12 bits those that are kept whole
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

// Vectors of `columns` numbers, as groups or as bf16. Those in bf16 lie in blocks of ROWS_AT_ONCE (the last may have fewer): of each
// pair of columns what all vectors of the block have, side by side.
struct Codes {
  void* data;
  Size columns, vectors;
  Size groups() const { return columns / GROUP; }
  Group* group(Size vector) const { return (Group*)data + vector * groups(); }
  uint32_t* pairs(Size first) const { return (uint32_t*)data + first * columns / 2; }
  static Size bytes(Size vectors, Size columns) { return vectors * (columns / GROUP + 1) * Size(sizeof(Group) + GROUP * sizeof(bf16)); }
};

static inline Words load_words(const uint8_t* p) {
  Words x;
  memcpy(&x, p, sizeof x);
  return x;
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

// A tile of some matrix that is wanted next, or none.
struct Wanted {
  const Matrix* matrix;
  Size tile;
};

// What a pass over a tile of m fetches of the next one, while it goes through the groups. The last passes fetch.
static inline Ahead ahead_of(const Matrix& m, Size tile, const Wanted& next, Size pass, Size passes, Size vectors) {
  const Size slices = std::min(passes, MOST_SLICES), slice = pass - (passes - slices), groups = m.groups();
  if (!next.matrix || slice < 0) return {nullptr, 0};
  const Size whole = next.matrix->tile_bytes(), bytes = vectors > 1 ? whole : std::min(whole, FIRST);
  if (bytes < whole && next.matrix == &m && next.tile == tile + 1) return {nullptr, 0};
  const Size each = (bytes + groups * slices - 1) / (groups * slices);
  return {next.matrix->codes + next.tile * whole + slice * groups * each, each};
}
