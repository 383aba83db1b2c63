// A decoder's blocks for new tokens of several rows, with keys and values remembered: what Decoder.hidden gives, in one call.
//
// Every token is computed alone, in the same order whatever stands beside it; so a row's numbers do not depend on its batch.
// The stream is fp32, keys and values are kept in bf16. Formulas: decoder.Block, attention.py, mlp.py, norms.py.
#include <algorithm>
#include <vector>

#include "curves.h"
#include "product.h"

struct Norm {
  const float *weight, *bias;
};

struct Layer {
  Matrix qkv, out, up, down;
  Norm before_attention, after_attention, before_mlp, after_mlp;  // those after may be null
  const float *query_norm, *key_norm;                             // [width] or null
  const float *cos, *sin;                                         // [positions][width / 2] or null
  Size window;                                                    // how many slots a token sees, its own included; 0 for all
};

struct Shape {
  Size layers, tokens, new_tokens, length, hidden, query_heads, key_heads, width, inner, centred, gated, activation;
  Size layer_stride, row_stride, head_stride;  // of the memory of keys and values, in elements; a slot takes `width`
};

struct Numbers {
  float eps, scale;
};

// Where a token stands: its row, its slot in the memory, the first slot that belongs to its row, its position in the text.
struct Place {
  Size row, slot, start, position;
};

// What the threads share between two barriers.
struct Scratch {
  std::vector<float> qkv, mixed, update, inner;
  std::vector<int8_t> codes;
  std::vector<Size> taken;  // turns given away, for each of the four products of each block
  Scratch(const Shape& s, Size widest)
      : qkv(s.tokens * (s.query_heads + 2 * s.key_heads) * s.width), mixed(s.tokens * s.query_heads * s.width), update(s.tokens * s.hidden),
        inner(s.tokens * s.inner), codes(Codes::bytes(s.tokens, widest)), taken(4 * s.layers) {}
};

// y = x / sqrt(mean(x^2) + eps) weight, or LayerNorm where the norm is centred; y may be x
static void normalise(const float* x, const Norm& norm, bool centred, float eps, float* y, Size d) {
  Floats first = {}, second = {};
  for (Size j = 0; j < d; j += LANES) {
    first += load(x + j);
    second += load(x + j) * load(x + j);
  }
  float mean = 0, variance = sum(second) / d;
  if (centred) {
    mean = sum(first) / d;
    second = (Floats){};
    for (Size j = 0; j < d; j += LANES) {
      const Floats v = load(x + j) - mean;
      second += v * v;
    }
    variance = sum(second) / d;
  }
  const float scale = 1 / std::sqrt(variance + eps);
  for (Size j = 0; j < d; j += LANES) {
    const Floats v = (load(x + j) - mean) * scale * load(norm.weight + j);
    store(y + j, norm.bias ? v + load(norm.bias + j) : v);
  }
}

// One head of one token, in place: normalised (when asked), then turned by its position.
static void turn(float* x, const float* weight, const float* cos, const float* sin, float eps, Size width) {
  if (weight) normalise(x, {weight, nullptr}, false, eps, x, width);
  if (!cos) return;
  for (Size j = 0; j < width / 2; j += LANES) {
    const Floats left = load(x + j), right = load(x + width / 2 + j), c = load(cos + j), s = load(sin + j);
    store(x + j, left * c - right * s);
    store(x + width / 2 + j, right * c + left * s);
  }
}

// The sums of 16 vectors, one a lane of the result.
static inline Floats sums_of(const Floats* x) {
#ifdef __AVX512F__
  __m512 fours[4];
  for (int i = 0; i < 4; i++) {  // lane j of each quarter: what vector 4 i + j holds there
    const __m512 *four = (const __m512*)x + 4 * i;
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(four[0], four[1]), _mm512_unpackhi_ps(four[0], four[1]));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(four[2], four[3]), _mm512_unpackhi_ps(four[2], four[3]));
    const __m512d p = _mm512_castps_pd(ab), q = _mm512_castps_pd(cd);
    fours[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
  }
  const __m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(fours[0], fours[1], 0x88), _mm512_shuffle_f32x4(fours[0], fours[1], 0xdd));
  const __m512 high = _mm512_add_ps(_mm512_shuffle_f32x4(fours[2], fours[3], 0x88), _mm512_shuffle_f32x4(fours[2], fours[3], 0xdd));
  return (Floats)_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
#else
  Floats y;
  for (int i = 0; i < LANES; i++) y[i] = sum(x[i]);
  return y;
#endif
}

// 32 numbers in bf16, and sums + the products of two such, in 16 partial sums.
static inline Words load_pairs(const bf16* p) {
  Words x;
  memcpy(&x, p, sizeof x);
  return x;
}
static inline Floats add_pairs(Floats sums, Words a, Words b) {
#ifdef __AVX512BF16__
  return (Floats)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
#else
  return sums + (Floats)(a & 0xffff0000u) * (Floats)(b & 0xffff0000u) + (Floats)(a << 16) * (Floats)(b << 16);
#endif
}

// HEADS queries (times the scale already) that share keys and values mix the slots first ... last: softmax with a running
// maximum (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax").
template <int HEADS, int VECTORS>
static void attend(const float* q, const bf16* keys, const bf16* values, Size first, Size last, float* y) {
  constexpr Size WIDTH = VECTORS * LANES;
  constexpr int PAIRS = VECTORS / 2;
  Floats mixed[HEADS][VECTORS] = {};
  Words query[HEADS][PAIRS];
  float most[HEADS], total[HEADS] = {};
  for (int h = 0; h < HEADS; h++) {
    bf16 narrowed[WIDTH];
    most[h] = -FAR_AWAY;
    for (int v = 0; v < VECTORS; v++) store(narrowed + v * LANES, load(q + h * WIDTH + v * LANES));
    for (int v = 0; v < PAIRS; v++) query[h][v] = load_pairs(narrowed + 2 * v * LANES);
  }
  for (Size start = first; start <= last; start += LANES) {
    const int count = int(std::min<Size>(LANES, last + 1 - start));
    Floats products[HEADS][LANES] = {};
    for (int i = 0; i < count; i++)
      for (int v = 0; v < PAIRS; v++) {
        const Words key = load_pairs(keys + (start + i) * WIDTH + 2 * v * LANES);
#pragma GCC unroll 4
        for (int h = 0; h < HEADS; h++) products[h][i] = add_pairs(products[h][i], query[h][v], key);
      }
    float shares[HEADS][LANES];
    for (int h = 0; h < HEADS; h++) {
      Floats scores = sums_of(products[h]);
      for (int i = count; i < LANES; i++) scores[i] = -FAR_AWAY;
      const float now = std::max(most[h], largest(scores));
      const Floats share = scores > -FAR_AWAY ? exp(larger(scores - now, all(-100))) : (Floats){};
      const float old = exp(larger(all(most[h] - now), all(-100)))[0];
      most[h] = now;
      store(shares[h], share);
      total[h] = total[h] * old + sum(share);
      for (int v = 0; v < VECTORS; v++) mixed[h][v] *= old;
    }
    for (int i = 0; i < count; i++)
#pragma GCC unroll 16
      for (int v = 0; v < VECTORS; v++) {
        const Floats value = load(values + (start + i) * WIDTH + v * LANES);
#pragma GCC unroll 4
        for (int h = 0; h < HEADS; h++) mixed[h][v] += shares[h][i] * value;
      }
  }
  for (int h = 0; h < HEADS; h++)
    for (int v = 0; v < VECTORS; v++) store(y + h * WIDTH + v * LANES, mixed[h][v] / total[h]);
}

template <int VECTORS>
static void attend_group(Size heads, const float* q, const bf16* keys, const bf16* values, Size first, Size last, float* y) {
  constexpr Size WIDTH = VECTORS * LANES;
  Size h = 0;
  for (; h + 3 <= heads; h += 3) attend<3, VECTORS>(q + h * WIDTH, keys, values, first, last, y + h * WIDTH);
  for (; h < heads; h++) attend<1, VECTORS>(q + h * WIDTH, keys, values, first, last, y + h * WIDTH);
}

static void attend_any(Size width, Size heads, const float* q, const bf16* keys, const bf16* values, Size first, Size last, float* y) {
  switch (width) {
    case 32: return attend_group<2>(heads, q, keys, values, first, last, y);
    case 64: return attend_group<4>(heads, q, keys, values, first, last, y);
    case 96: return attend_group<6>(heads, q, keys, values, first, last, y);
    case 128: return attend_group<8>(heads, q, keys, values, first, last, y);
    case 256: return attend_group<16>(heads, q, keys, values, first, last, y);
  }
}

// The threads of one call walk through the blocks together; `from` and `to` share out n things. They wait for each other as seldom as
// may be: with one token each of them prepares it for itself, and a head is turned by who attends with it where no other token needs it.
struct Walk {
  const Shape& s;
  const Numbers& n;
  const Size* starts;
  float* x;
  bf16 *keys, *values;
  Scratch& scratch;
  int8_t* own_codes;
  Size thread, threads;
  Size products = 0;  // that were begun: each counts its own turns

  Place place(Size token) const {
    const Size row = token / s.new_tokens, slot = s.length + token % s.new_tokens, start = std::min(starts[row], slot);
    return {row, slot, start, slot - start};
  }
  Size from(Size n) const { return n * thread / threads; }
  Size to(Size n) const { return n * (thread + 1) / threads; }

  // Normalise (when given a norm) and encode each token for the next product.
  Codes prepare(const float* source, Size columns, const Norm* norm, Size bits) {
    const bool alone = s.tokens == 1;
    const Codes codes = {alone ? own_codes : scratch.codes.data(), columns, s.tokens};
    std::vector<float> row(norm ? columns : 0);
    for (Size t = alone ? 0 : from(s.tokens); t < (alone ? 1 : to(s.tokens)); t++) {
      const float* from_t = source + t * columns;
      if (norm) normalise(from_t, *norm, s.centred, n.eps, row.data(), columns);
      encode(norm ? row.data() : from_t, bits, codes, t);
    }
    if (!alone) {
#pragma omp barrier
    }
    return codes;
  }

  // Where this thread begins in a matrix: fetched before the threads wait for each other.
  Wanted begin(const Matrix& m, Size tiles) const { return {&m, schedule_of(m, tiles, threads).begin(thread)}; }
  Wanted begin(const Matrix& m) const { return begin(m, m.tiles()); }

  template <class Emit>
  void multiply(const Matrix& m, const Codes& codes, Emit emit, Wanted next) {
    shared_product(m, codes, thread, threads, scratch.taken[products++], emit, next);
  }

  // The product is added to the stream, normalised before where the block has a norm after its sub-layers (Gemma).
  void add(const Matrix& m, const Codes& codes, const Norm& after, Wanted next) {
    if (!after.weight) {
      const auto plus = [&](Size tile, Size t, Floats y) {
        float* to = x + t * s.hidden + tile * LANES;
        store(to, load(to) + y);
      };
      multiply(m, codes, plus, next);
    } else {
      float* update = scratch.update.data();
      const auto put = [&](Size tile, Size t, Floats y) { store(update + t * s.hidden + tile * LANES, y); };
      multiply(m, codes, put, next);
#pragma omp barrier
      for (Size t = from(s.tokens); t < to(s.tokens); t++) {
        normalise(update + t * s.hidden, after, s.centred, n.eps, update + t * s.hidden, s.hidden);
        for (Size j = 0; j < s.hidden; j += LANES) store(x + t * s.hidden + j, load(x + t * s.hidden + j) + load(update + t * s.hidden + j));
      }
    }
#pragma omp barrier
  }

  void attention(const Layer& l, Size layer) {
    const Codes codes = prepare(x, s.hidden, &l.before_attention, l.qkv.bits);
    const Size row = l.qkv.rows;
    float* qkv = scratch.qkv.data();
    const auto put = [&](Size tile, Size t, Floats y) { store(qkv + t * row + tile * LANES, y); };
    multiply(l.qkv, codes, put, begin(l.out));
#pragma omp barrier
    const Size share = s.query_heads / s.key_heads, heads = s.query_heads + 2 * s.key_heads;
    const bool own = s.new_tokens == 1;
    if (!own) {
#pragma omp for schedule(static)
      for (Size item = 0; item < s.tokens * heads; item++) remember(l, layer, item / heads, item % heads);
    }
#pragma omp for schedule(dynamic, 1)
    for (Size item = 0; item < s.tokens * s.key_heads; item++) {
      const Size t = item / s.key_heads, h = item % s.key_heads;
      const Place p = place(t);
      if (own) {
        for (Size i = 0; i < share; i++) remember(l, layer, t, h * share + i);
        remember(l, layer, t, s.query_heads + h);
        remember(l, layer, t, s.query_heads + s.key_heads + h);
      }
      const Size at = layer * s.layer_stride + p.row * s.row_stride + h * s.head_stride;
      const Size first = l.window ? std::max(p.start, p.slot - l.window + 1) : p.start;
      attend_any(s.width, share, qkv + t * row + h * share * s.width, keys + at, values + at, first, p.slot,
                 scratch.mixed.data() + (t * s.query_heads + h * share) * s.width);
    }
    const Codes mixed = prepare(scratch.mixed.data(), s.query_heads * s.width, nullptr, l.out.bits);
    add(l.out, mixed, l.after_attention, begin(l.up, s.inner / LANES));
  }

  // Head h of a token among queries, keys and values: queries and keys are turned, queries scaled, keys and values kept.
  void remember(const Layer& l, Size layer, Size t, Size h) {
    const Place p = place(t);
    float* one = scratch.qkv.data() + t * l.qkv.rows + h * s.width;
    const Size angle = p.position * s.width / 2;
    const float *cos = l.cos ? l.cos + angle : nullptr, *sin = l.sin ? l.sin + angle : nullptr;
    if (h < s.query_heads) {
      turn(one, l.query_norm, cos, sin, n.eps, s.width);
      for (Size j = 0; j < s.width; j += LANES) store(one + j, load(one + j) * n.scale);
      return;
    }
    const bool is_key = h < s.query_heads + s.key_heads;
    if (is_key) turn(one, l.key_norm, cos, sin, n.eps, s.width);
    const Size head = is_key ? h - s.query_heads : h - s.query_heads - s.key_heads;
    bf16* to = (is_key ? keys : values) + layer * s.layer_stride + p.row * s.row_stride + head * s.head_stride + p.slot * s.width;
    for (Size j = 0; j < s.width; j += LANES) store(to + j, load(one + j));
  }

  template <class Act, bool GATED>
  void widen_up(const Layer& l, const Codes& codes) {
    constexpr Size GATES = 32;
    const Size tiles = s.inner / LANES;
    float* inner = scratch.inner.data();
    const auto put = [&](Size tile, Size t, Floats y) { store(inner + t * s.inner + tile * LANES, Act::at(y).value); };
    const auto times = [&](Size tile, Size t, Floats y) {
      float* to = inner + t * s.inner + (tile - tiles) * LANES;
      store(to, load(to) * y);
    };
    by_guided_schedule(schedule_of(l.up, tiles, threads), thread, scratch.taken[products++], [&](Size from, Size to, Size next) {
      for (Size a = from, b; a < to; a = b) {  // some gates wait in the cache for their partners
        b = std::min(a + GATES, to);
        const Wanted after = b < to ? Wanted{&l.up, b} : next < 0 ? begin(l.down) : Wanted{&l.up, next};
        product(l.up, a, b, codes, put, GATED ? Wanted{&l.up, tiles + a} : after);
        if (GATED) product(l.up, tiles + a, tiles + b, codes, times, after);
      }
    });
#pragma omp barrier
  }

  void mlp(const Layer& l, const Layer* following) {
    const Codes codes = prepare(x, s.hidden, &l.before_mlp, l.up.bits);
    up(s.activation, s.gated, l, codes);
    const Codes inner = prepare(scratch.inner.data(), s.inner, nullptr, l.down.bits);
    add(l.down, inner, l.after_mlp, following ? begin(following->qkv) : Wanted{});
  }

  void up(Size kind, Size gated, const Layer& l, const Codes& codes) { FOR_EACH_ACTIVATION(widen_up, l, codes) }
};

// x [rows][new_tokens][hidden] goes in as embeddings and comes out normalised; each row begins in the memory at its start.
EXPORT void forward_blocks(Size threads, const Layer* layers, const Shape* shape, float eps, float scale, const float* norm_weight,
                           const float* norm_bias, const Size* starts, float* x, bf16* keys, bf16* values) {
  const Shape& s = *shape;
  const Numbers numbers = {eps, scale};
  const Size widest = std::max({s.hidden, s.inner, s.query_heads * s.width});
  Scratch scratch(s, widest);
#pragma omp parallel num_threads(threads)
  {
    std::vector<int8_t> own_codes(Codes::bytes(1, widest));
    Walk walk = {s, numbers, starts, x, keys, values, scratch, own_codes.data(), omp_get_thread_num(), omp_get_num_threads()};
    for (Size layer = 0; layer < s.layers; layer++) {
      walk.attention(layers[layer], layer);
      walk.mlp(layers[layer], layer + 1 < s.layers ? layers + layer + 1 : nullptr);
    }
    for (Size t = walk.from(s.tokens); t < walk.to(s.tokens); t++)
      normalise(x + t * s.hidden, {norm_weight, norm_bias}, s.centred, eps, x + t * s.hidden, s.hidden);
  }
}

// y [tokens][rows of m] = m x: the logits.
EXPORT void forward_head(Size threads, const Matrix* m, const float* x, Size tokens, float* y) {
  std::vector<int8_t> codes(Codes::bytes(tokens, m->columns));
  const Codes encoded = {codes.data(), m->columns, tokens};
  for (Size t = 0; t < tokens; t++) encode(x + t * m->columns, m->bits, encoded, t);
  Size taken = 0;
#pragma omp parallel num_threads(threads)
  {
    const auto put = [&](Size tile, Size t, Floats v) {
      const Size left = std::min<Size>(LANES, m->rows - tile * LANES);
      float* to = y + t * m->rows + tile * LANES;
      if (left == LANES) store(to, v);
      else store_some(to, v, left);
    };
    shared_product(*m, encoded, omp_get_thread_num(), omp_get_num_threads(), taken, put);
  }
}
